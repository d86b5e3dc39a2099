//! Which request is hit by which fault.

use std::collections::VecDeque;

use crate::{Fault, FaultMix};

/// Faults in order, each for the next request that fits, then the random ones.
#[derive(Debug, Default)]
pub(crate) struct FaultQueue {
    queue: VecDeque<(Option<String>, Fault)>,
    pub(crate) mix: FaultMix,
}

impl FaultQueue {
    /// Adds a fault for the next request, or for the next whose body contains the text.
    pub(crate) fn push(&mut self, when: Option<String>, fault: Fault) {
        self.queue.push_back((when, fault));
    }

    /// Takes the first fault that fits a request with this body.
    pub(crate) fn take(&mut self, body: &[u8]) -> Option<Fault> {
        let contains =
            |text: &str| text.is_empty() || body.windows(text.len()).any(|window| window == text.as_bytes());
        let place = self.queue.iter().position(|(when, _)| when.as_deref().is_none_or(contains))?;
        self.queue.remove(place).map(|(_, fault)| fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_waits_for_the_request_that_fits() {
        let mut queue = FaultQueue::default();
        queue.push(Some("second".to_owned()), Fault::Empty);
        queue.push(None, Fault::Reset);
        assert_eq!(queue.take(b"the first"), Some(Fault::Reset));
        assert_eq!(queue.take(b"the third"), None);
        assert_eq!(queue.take(b"the second"), Some(Fault::Empty));
    }
}
