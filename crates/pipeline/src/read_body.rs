//! Reading a client's body, bounded in size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

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
    let reading = collect(body, most, told.exact());
    tokio::time::timeout(within, reading).await.unwrap_or(Err(Refusal::BodyTooSlow))
}

async fn collect<B>(body: B, most: usize, told: Option<u64>) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::BodyBroken)?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > most {
            return Err(Refusal::BodyTooLarge { limit: most });
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            let capacity = told.and_then(|told| usize::try_from(told).ok()).unwrap_or(CAPACITY_UNTOLD);
            rest.reserve(capacity.min(most).max(first.len() + data.len()));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
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
