//! The content of a body: its pieces, or the whole of it within a bound.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::Body;

/// Why a body could not be read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread<E> {
    /// It is larger than its bound.
    TooLarge,
    /// It broke off.
    Broken(E),
}

/// The next piece of content. Trailers are passed over: nothing of them is looked at anywhere.
pub fn poll_data<B>(mut body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Option<Result<B::Data, B::Error>>>
where
    B: Body + ?Sized,
{
    loop {
        match ready!(body.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Poll::Ready(Some(Ok(data)));
                }
            }
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        }
    }
}

/// As [`poll_data`], awaited.
pub async fn next_data<B>(mut body: Pin<&mut B>) -> Option<Result<B::Data, B::Error>>
where
    B: Body + ?Sized,
{
    poll_fn(|cx| poll_data(body.as_mut(), cx)).await
}

/// All of a body, at most `most` bytes. One in a single piece is not copied; for others, room for `expected` bytes is
/// made at once, within the bound.
///
/// # Errors
/// [`Unread`], as soon as it is known.
pub async fn read_whole<B>(body: B, most: usize, expected: usize) -> Result<Bytes, Unread<B::Error>>
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(data) = next_data(body.as_mut()).await {
        let data = data.map_err(Unread::Broken)?;
        if data.len() > most - (first.len() + rest.len()) {
            return Err(Unread::TooLarge);
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(expected.min(most).max(first.len() + data.len()));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::executor::block_on;
    use http_body::Frame;
    use proptest::prelude::*;

    use super::*;

    /// Pieces, with trailers where there are none; then an error, or the end.
    struct Pieces(VecDeque<Option<Bytes>>, bool);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            Poll::Ready(match self.0.pop_front() {
                Some(Some(data)) => Some(Ok(Frame::data(data))),
                Some(None) => Some(Ok(Frame::trailers(http::HeaderMap::new()))),
                None => std::mem::take(&mut self.1).then_some(Err("broken")),
            })
        }
    }

    proptest! {
        #[test]
        fn a_body_is_read_whole_within_its_bound(
            pieces in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..5)), 0..8),
            breaks in any::<bool>(),
            most in 0_usize..20,
            expected in 0_usize..40,
        ) {
            let whole: Vec<u8> = pieces.iter().flatten().flatten().copied().collect();
            let queue = pieces.into_iter().map(|piece| piece.map(Bytes::from)).collect();
            let read = block_on(read_whole(Pieces(queue, breaks), most, expected));
            let right = match (whole.len() > most, breaks) {
                (true, _) => Err(Unread::TooLarge),
                (false, true) => Err(Unread::Broken("broken")),
                (false, false) => Ok(Bytes::from(whole)),
            };
            prop_assert_eq!(read, right);
        }
    }

    #[test]
    fn a_single_piece_is_not_copied() {
        let piece = Bytes::from(vec![1; 100]);
        let body = Pieces(VecDeque::from([None, Some(piece.clone()), None]), false);
        let read = block_on(read_whole(body, 100, 0)).unwrap();
        assert_eq!(read.as_ptr(), piece.as_ptr());
    }
}
