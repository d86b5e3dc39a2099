//! What a request under an idempotency key is answered with, as it leaves: for those who asked for the same
//! meanwhile, and to be kept.
//!
//! The tape never slows the one whose answer it takes: pieces are copied as they leave, and whoever follows reads
//! them at a pace of its own. Its memory is bounded; what does not fit is not kept, and nobody can follow it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use weighbridge_units::RequestId;

/// The head of an answer, as far as whoever asks once more gets it.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The request that is carried out.
    pub(crate) request: RequestId,
    pub(crate) status: StatusCode,
    /// Those that are kept.
    pub(crate) headers: HeaderMap,
}

/// How a tape ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With the end of the answer.
    Whole,
    /// Without: nobody reads the answer on, or there never was one.
    Broken,
    /// The answer has more bytes than a tape may have.
    TooLarge,
}

/// The next of a tape.
pub(crate) enum Next {
    Piece(Bytes),
    End(Ended),
}

pub(crate) struct Tape {
    taped: Mutex<Taped>,
    /// The most bytes that it holds.
    most: usize,
    /// Bytes of all tapes, and the most of them.
    all: Arc<AtomicUsize>,
    all_most: usize,
}

#[derive(Default)]
struct Taped {
    head: Option<Head>,
    pieces: Vec<Bytes>,
    bytes: usize,
    ended: Option<Ended>,
    wakers: Vec<Waker>,
    followers: usize,
}

impl Tape {
    pub(crate) fn new(most: usize, all: &Arc<AtomicUsize>, all_most: usize) -> Self {
        Self { taped: Mutex::default(), most, all: Arc::clone(all), all_most }
    }

    /// The answer begins.
    pub(crate) fn begin(&self, head: Head) {
        let mut taped = self.taped();
        taped.head = Some(head);
        wake(taped);
    }

    /// A piece of the answer leaves.
    pub(crate) fn push(&self, piece: &[u8]) {
        let mut taped = self.taped();
        if taped.ended.is_some() || piece.is_empty() {
            return;
        }
        let all = self.all.fetch_add(piece.len(), Ordering::AcqRel) + piece.len();
        taped.bytes += piece.len();
        if taped.bytes > self.most || all > self.all_most {
            self.let_go(&mut taped);
            taped.ended = Some(Ended::TooLarge);
        } else {
            // A copy: a slice would hold on to the whole buffer that the provider's piece was read into.
            taped.pieces.push(Bytes::copy_from_slice(piece));
        }
        wake(taped);
    }

    /// The answer ends, unless the tape has ended already.
    pub(crate) fn end(&self, how: Ended) {
        let mut taped = self.taped();
        if taped.ended.is_none() {
            taped.ended = Some(how);
            wake(taped);
        }
    }

    #[cfg(test)]
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.taped().ended
    }

    /// Head and body of an answer that is whole.
    pub(crate) fn whole(&self) -> Option<(Head, Bytes)> {
        let taped = self.taped();
        let head = taped.head.clone().filter(|_| taped.ended == Some(Ended::Whole))?;
        let mut body = BytesMut::with_capacity(taped.bytes);
        taped.pieces.iter().for_each(|piece| body.extend_from_slice(piece));
        Some((head, body.freeze()))
    }

    /// Whether somebody reads along.
    pub(crate) fn is_followed(&self) -> bool {
        self.taped().followers > 0
    }

    fn let_go(&self, taped: &mut Taped) {
        self.all.fetch_sub(taped.bytes, Ordering::AcqRel);
        (taped.bytes, taped.pieces) = (0, Vec::new());
    }

    fn taped(&self) -> MutexGuard<'_, Taped> {
        self.taped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        let bytes = self.taped().bytes;
        self.all.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// Wakes all who wait, once the tape can be looked at again.
fn wake(mut taped: MutexGuard<'_, Taped>) {
    let wakers = std::mem::take(&mut taped.wakers);
    drop(taped);
    wakers.into_iter().for_each(Waker::wake);
}

/// Somebody who reads along, from the beginning.
pub(crate) struct Follower {
    tape: Arc<Tape>,
    read: usize,
}

impl Follower {
    pub(crate) fn new(tape: Arc<Tape>) -> Self {
        tape.taped().followers += 1;
        Self { tape, read: 0 }
    }

    /// The head of the answer, as soon as there is one; how the tape ended, where there will be none.
    pub(crate) async fn head(&self) -> Result<Head, Ended> {
        std::future::poll_fn(|cx| {
            let mut taped = self.tape.taped();
            match (&taped.head, taped.ended) {
                (_, Some(how @ (Ended::TooLarge | Ended::Broken))) => Poll::Ready(Err(how)),
                (Some(head), _) => Poll::Ready(Ok(head.clone())),
                (None, Some(how)) => Poll::Ready(Err(how)),
                (None, None) => {
                    wait(&mut taped, cx);
                    Poll::Pending
                }
            }
        })
        .await
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut taped = self.tape.taped();
        // What a tape that has become too large has let go of is missing from here on.
        if taped.ended == Some(Ended::TooLarge) {
            return Poll::Ready(Next::End(Ended::TooLarge));
        }
        if let Some(piece) = taped.pieces.get(self.read) {
            self.read += 1;
            return Poll::Ready(Next::Piece(piece.clone()));
        }
        match taped.ended {
            Some(how) => Poll::Ready(Next::End(how)),
            None => {
                wait(&mut taped, cx);
                Poll::Pending
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.tape.taped().followers -= 1;
    }
}

fn wait(taped: &mut Taped, cx: &Context<'_>) {
    if !taped.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
        taped.wakers.push(cx.waker().clone());
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;

    fn tape(most: usize, all: &Arc<AtomicUsize>) -> Arc<Tape> {
        Arc::new(Tape::new(most, all, 100))
    }

    fn head() -> Head {
        let request = RequestId::new("first").unwrap();
        Head { request, status: StatusCode::OK, headers: HeaderMap::new() }
    }

    /// What a follower gets until it has to wait, and how the tape ended if it did.
    fn read(follower: &mut Follower) -> (Vec<u8>, Option<Ended>) {
        let (mut bytes, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
        loop {
            match follower.poll_next(&mut cx) {
                Poll::Ready(Next::Piece(piece)) => bytes.extend_from_slice(&piece),
                Poll::Ready(Next::End(how)) => return (bytes, Some(how)),
                Poll::Pending => return (bytes, None),
            }
        }
    }

    proptest! {
        #[test]
        fn whoever_follows_gets_every_byte_whenever_it_comes(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..12), comes in 0..12_usize,
        ) {
            let all = Arc::default();
            let tape = tape(100, &all);
            let mut first = Follower::new(Arc::clone(&tape));
            let (mut got, mut late) = (Vec::new(), None);
            tape.begin(head());
            for (at, piece) in pieces.iter().enumerate() {
                if at == comes {
                    late = Some(Follower::new(Arc::clone(&tape)));
                }
                tape.push(piece);
                got.extend(read(&mut first).0);
            }
            tape.end(Ended::Whole);
            let sent = pieces.concat();
            got.extend(read(&mut first).0);
            prop_assert_eq!(&got, &sent);
            let mut late = late.unwrap_or_else(|| Follower::new(Arc::clone(&tape)));
            prop_assert_eq!(read(&mut late), (sent.clone(), Some(Ended::Whole)));
            prop_assert_eq!(tape.whole().unwrap().1, Bytes::from(sent));
            drop((first, late));
            prop_assert!(!tape.is_followed());
            drop(tape);
            prop_assert_eq!(all.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn what_does_not_fit_is_let_go_of() {
        let all = Arc::default();
        let small = tape(10, &all);
        let mut follower = Follower::new(Arc::clone(&small));
        small.begin(head());
        small.push(&[1; 8]);
        assert_eq!(read(&mut follower).0.len(), 8);
        small.push(&[1; 8]);
        assert_eq!(read(&mut follower), (Vec::new(), Some(Ended::TooLarge)));
        small.end(Ended::Whole);
        assert_eq!((small.ended(), small.whole().is_none()), (Some(Ended::TooLarge), true));
        assert_eq!(all.load(Ordering::Relaxed), 0);
        // All of them together have a bound as well.
        let (one, other) = (tape(90, &all), tape(90, &all));
        one.push(&[1; 90]);
        other.push(&[1; 11]);
        assert_eq!((one.ended(), other.ended()), (None, Some(Ended::TooLarge)));
        assert_eq!(all.load(Ordering::Relaxed), 90);
    }
}
