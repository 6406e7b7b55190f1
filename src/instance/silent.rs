//! A connection that has become silent. Its server may still execute the requests.
//!
//! Replies are ignored. Only the release has to go behind the earlier requests.

use super::commands::quit;
use super::pipeline::{Delivery, Pipeline};
use redis::Cmd;
use std::task::{Context, Poll};

/// The place for one silent connection.
#[derive(Default)]
pub(super) struct SilentConnection(Option<Pipeline>);

impl SilentConnection {
    /// Keeps `pipeline`, unless an older connection is kept already: that is the one on which the
    /// key was set.
    pub(super) fn keep(&mut self, pipeline: Pipeline) {
        self.0.get_or_insert(pipeline);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Sends the last release of a run.
    pub(super) fn release(&mut self, release: &Cmd) {
        if let Some(pipeline) = &mut self.0 {
            pipeline.send([release, &quit()]);
        }
    }

    /// Whether the kernel has taken every byte that it will ever take.
    pub(super) fn is_flushed(&self) -> bool {
        self.0.as_ref().is_none_or(Pipeline::is_flushed)
    }

    /// Writes and reads as far as possible now.
    pub(super) fn work(&mut self, cx: &mut Context<'_>) {
        let Some(pipeline) = &mut self.0 else { return };
        pipeline.begin_turn();
        pipeline.flush(cx);
        loop {
            match pipeline.poll_next(cx) {
                Poll::Ready(Delivery::End(_)) => return self.0 = None,
                Poll::Ready(Delivery::Reply(_) | Delivery::Wake(_)) => {}
                Poll::Pending => return,
            }
        }
    }
}
