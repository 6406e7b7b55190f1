//! One question to all instances at once, within one time limit.

use super::clock::{self, AsyncTimer};
use super::system_error::{SystemError, system_error};
use crate::instance::{Endpoint, Inspector};
use crate::lock::{Answer, NoVoteReason};
use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Asks `question` of each of `endpoints`, on a connection of its own. Each step has the time limit
/// `step`. An instance that has not answered within `whole` has timed out.
///
/// # Errors
/// When the system refuses a timer.
pub async fn survey<T>(
    endpoints: &[Endpoint],
    (step, whole): (Duration, Duration),
    question: impl AsyncFn(usize, Inspector) -> Result<T, NoVoteReason>,
) -> Result<Vec<Answer<T>>, SystemError> {
    let begun = clock::now();
    let mut timer = AsyncTimer::new().map_err(system_error("a timer"))?;
    let question = &question;
    let mut open: Vec<_> = endpoints
        .iter()
        .enumerate()
        .map(|(instance, endpoint)| {
            Box::pin(async move { ask(instance, endpoint, step, question).await })
        })
        .map(Some)
        .collect();
    let mut answers: Vec<Option<Answer<T>>> = open.iter().map(|_| None).collect();
    let mut time_is_over = pin!(async move {
        while clock::now() < begun.plus(whole) {
            timer.wait_until(begun.plus(whole)).await?;
        }
        Ok(())
    });
    std::future::poll_fn(|cx| {
        for (place, answer) in open.iter_mut().zip(&mut answers) {
            if let Some(Poll::Ready(heard)) = place.as_mut().map(|asked| asked.as_mut().poll(cx)) {
                (*place, *answer) = (None, Some(heard));
            }
        }
        if answers.iter().all(Option::is_some) {
            return Poll::Ready(Ok(()));
        }
        time_is_over.as_mut().poll(cx)
    })
    .await
    .map_err(system_error("a timer"))?;
    let silence =
        || Answer { sent: begun, heard: clock::now(), result: Err(NoVoteReason::TimedOut) };
    Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(silence)).collect())
}

async fn ask<T>(
    instance: usize,
    endpoint: &Endpoint,
    limit: Duration,
    question: &impl AsyncFn(usize, Inspector) -> Result<T, NoVoteReason>,
) -> Answer<T> {
    let connected = Inspector::connect(endpoint, limit).await;
    let sent = clock::now();
    let result = match connected {
        Ok(inspector) => question(instance, inspector).await,
        Err(why) => Err(why),
    };
    Answer { sent, heard: clock::now(), result }
}
