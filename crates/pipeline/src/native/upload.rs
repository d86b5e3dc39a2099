//! A client's body on its way to a provider, a few pieces of it in memory at a time.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc;
use weighbridge_transport::{ByteStream, Phase, TransportError, next_data};

use crate::refusal::Refusal;

/// Pieces that may wait.
const WAITING: usize = 4;

/// What the pump says: a piece, or that it was the last.
type Said = Option<Bytes>;

/// The end at which a provider's connection reads. Where nobody says that the last piece was sent, it breaks off.
struct Reading(mpsc::Receiver<Said>);

impl Body for Reading {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        Poll::Ready(match std::task::ready!(self.0.poll_recv(cx)) {
            Some(Some(piece)) => Some(Ok(Frame::data(piece))),
            Some(None) => None,
            None => Some(Err(TransportError::new(Phase::Body, "the client's body broke off"))),
        })
    }
}

/// The end that a client's body is pumped into.
pub(super) struct Pump(mpsc::Sender<Said>);

pub(super) fn pair() -> (Pump, ByteStream) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Pump(sender), Box::pin(Reading(receiver)))
}

impl Pump {
    /// Pumps a body of at most `most` bytes, none of whose pieces may take longer than `within`. Done as well where
    /// nobody reads any more.
    pub(super) async fn run<B>(self, body: B, most: u64, within: Duration) -> Result<(), Refusal>
    where
        B: Body<Data = Bytes>,
    {
        let mut body = pin!(body);
        let mut sent = 0_u64;
        loop {
            let piece = tokio::time::timeout(within, next_data(body.as_mut())).await;
            let Some(piece) = piece.map_err(|_| Refusal::BodyTooSlow)? else { break };
            let piece = piece.map_err(|_| Refusal::BodyBroken)?;
            sent = sent.saturating_add(piece.len() as u64);
            if sent > most {
                return Err(too_large(most));
            }
            if self.0.send(Some(piece)).await.is_err() {
                return Ok(());
            }
        }
        // Nobody reads any more: so be it.
        let _ = self.0.send(None).await;
        Ok(())
    }
}

pub(super) fn too_large(most: u64) -> Refusal {
    Refusal::BodyTooLarge { limit: usize::try_from(most).unwrap_or(usize::MAX) }
}

/// Why there is no head of an answer.
pub(super) enum Unanswered {
    /// Something is wrong with the client's body.
    Refused(Refusal),
    /// Nothing came for too long once all was sent.
    Late,
}

/// Sends while the body is pumped, and then waits.
pub(super) async fn exchange<T, B>(
    mut sending: impl Future<Output = Result<T, TransportError>> + Unpin,
    pumped: Option<(Pump, B)>,
    most: u64,
    within: Duration,
    first_byte: Duration,
) -> Result<Result<T, TransportError>, Unanswered>
where
    B: Body<Data = Bytes>,
{
    if let Some((pump, body)) = pumped {
        let pumping = pin!(pump.run(body, most, within));
        tokio::select! {
            biased;
            head = &mut sending => return Ok(head),
            done = pumping => done.map_err(Unanswered::Refused)?,
        }
    }
    tokio::time::timeout(first_byte, sending).await.map_err(|_| Unanswered::Late)
}
