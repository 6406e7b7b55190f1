//! The output of a stream, read by a thread, so that the writer never blocks.

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// All that a stream has delivered, read as it comes.
pub(super) struct Collector(Arc<Mutex<(Vec<u8>, bool)>>);

impl Collector {
    pub(super) fn of(mut stream: impl Read + Send + 'static) -> Self {
        let state = Arc::new(Mutex::new((Vec::new(), false)));
        let ours = Arc::clone(&state);
        thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                state.lock().expect("no panic").0.extend_from_slice(&buffer[..length]);
            }
            state.lock().expect("no panic").1 = true;
        });
        Self(ours)
    }

    fn state(&self) -> MutexGuard<'_, (Vec<u8>, bool)> {
        self.0.lock().expect("no panic")
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.state().0.clone()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.state().0).into_owned()
    }

    pub(super) fn closed(&self) -> bool {
        self.state().1
    }
}
