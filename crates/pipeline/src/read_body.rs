//! Reading a client's body, bounded in size and time.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use weighbridge_transport::{Unread, read_whole};

use crate::refusal::Refusal;

/// What is set aside for a body whose length is not told.
const CAPACITY_UNTOLD: usize = 8 * 1024;

/// Reads the whole body, or says why not. A body in one piece is not copied.
pub(crate) async fn read_body<B>(body: B, most: usize, within: Duration) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
{
    let told = body.size_hint();
    if told.lower() > most as u64 {
        return Err(Refusal::BodyTooLarge { limit: most });
    }
    let expected = told.exact().and_then(|told| usize::try_from(told).ok()).unwrap_or(CAPACITY_UNTOLD);
    let reading = tokio::time::timeout(within, read_whole(body, most, expected)).await;
    reading.map_err(|_| Refusal::BodyTooSlow)?.map_err(|why| match why {
        Unread::TooLarge => Refusal::BodyTooLarge { limit: most },
        Unread::Broken(_) => Refusal::BodyBroken,
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    fn pieces(pieces: &[&'static str]) -> impl Body<Data = Bytes> + use<> {
        let frames: Vec<Result<Frame<Bytes>, Infallible>> =
            pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        StreamBody::new(futures::stream::iter(frames))
    }

    async fn read(body: impl Body<Data = Bytes>) -> Result<Bytes, &'static str> {
        read_body(body, 5, Duration::from_secs(1)).await.map_err(|refusal| refusal.kind())
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_are_read_to_their_bound() {
        assert_eq!(read(pieces(&[])).await, Ok(Bytes::new()));
        assert_eq!(read(pieces(&["ab", "", "cd", "e"])).await, Ok(Bytes::from_static(b"abcde")));
        assert_eq!(read(pieces(&["ab", "cd", "ef"])).await, Err("body-too-large"));
        assert_eq!(
            read(http_body_util::Full::new(Bytes::from_static(b"abcdef"))).await,
            Err("body-too-large")
        );
        let never = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Infallible>>());
        assert_eq!(read(never).await, Err("body-too-slow"));
    }
}
