//! `reasoningContent`, read and written.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Object, Raw, ReadError};
use weighbridge_units::LossKind;

use super::leftovers::{self, keep};
use super::{base64, family::Family};
use crate::conversation::{Proof, ProofKind, Reasoning};
use crate::{Losses, Place};

/// What Bedrock seals itself, for models of others than Anthropic.
const BEDROCK: &str = "amazon-bedrock-v1";

/// How the text begins that Bedrock seals for models of OpenAI.
const SEALED_FOR_OPENAI: &str = "rsn_";

/// Reads the value of `reasoningContent`; `None` where it is neither of the two kinds.
pub(super) fn read<'a>(
    content: &mut Fields<'a>,
    bag: &mut Bag<'a>,
) -> Result<Option<Reasoning<'a>>, ReadError> {
    if let Some(mut inner) = content.take::<Fields<'a>>("reasoningText")?.value() {
        let text = inner.require("text")?;
        let token = inner.take("signature")?.value();
        let (proof, id) = token.map(signature).unzip();
        keep(bag, "reasoningContent/reasoningText", inner);
        return Ok(Some(Reasoning { id: id.flatten(), text, proof, summary: Vec::new() }));
    }
    let data = content.take::<Cow<'a, str>>("redactedContent")?.value();
    Ok(data.map(|data| {
        let (proof, id) = redacted(data);
        Reasoning { id, proof: Some(proof), ..Reasoning::default() }
    }))
}

/// The proof that a signature is.
pub(super) fn signature(token: Cow<'_, str>) -> (Proof<'_>, Option<Cow<'_, str>>) {
    Proof::from_token(token, Proof::ANTHROPIC, ProofKind::Signature)
}

/// The proof that `redactedContent` is. The bytes, which JSON has in base64, are the very text that
/// Anthropic's own format calls `data`, or something of Bedrock's own.
pub(super) fn redacted(data: Cow<'_, str>) -> (Proof<'_>, Option<Cow<'_, str>>) {
    match base64::decode_text(&data).filter(|text| !text.starts_with(SEALED_FOR_OPENAI)) {
        Some(text) => Proof::from_token(Cow::Owned(text), Proof::ANTHROPIC, ProofKind::Sealed),
        None => (Proof::sealed(BEDROCK, data), None),
    }
}

/// Whether the models of a family can make something of reasoning. What nobody signed or sealed is
/// refused by some and nothing but text to others.
pub(super) fn is_accepted(reasoning: &Reasoning<'_>, family: Family) -> bool {
    reasoning.proof.as_ref().is_some_and(|proof| {
        (proof.is(Proof::ANTHROPIC) && family.may_know_anthropic_proofs()) || proof.is(BEDROCK)
    })
}

/// Whose eyes reasoning is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// A provider, which must understand the proof.
    Provider,
    /// A client, which only brings it back.
    Client,
}

/// Writes the value of `reasoningContent`.
pub(super) fn write<'a>(
    reasoning: &Reasoning<'a>,
    place: Place<'a>,
    bag: &Bag<'a>,
    eyes: For,
    content: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let Reasoning { id, text, summary, proof } = reasoning;
    // What a client brought back goes on as it stood.
    let eyes = if losses.is_same_protocol() { For::Client } else { eyes };
    if !summary.is_empty() {
        losses.report(
            place,
            LossKind::Approximated,
            "a summary stands as the reasoning itself",
            "summaries of reasoning",
        );
    }
    let id = id.as_deref();
    if id.is_some() && (eyes == For::Provider || proof.is_none()) {
        losses.dropped(place, "reasoning has no id here", "ids of reasoning");
    }
    if let Some(proof) = proof.as_ref().filter(|proof| proof.kind == ProofKind::Sealed) {
        let has_text = !text.is_empty() || !summary.is_empty();
        if has_text && eyes == For::Provider {
            losses.dropped(place, "sealed reasoning has no text beside it", "a text beside what is sealed");
        }
        if !has_text || eyes == For::Provider {
            return content.key("redactedContent").string(&sealed(proof, id, eyes));
        }
    }
    let mut inner = content.key("reasoningText").object();
    inner.key("text").string(&reasoning.visible());
    if let Some(proof) = proof {
        let id = id.filter(|_| eyes == For::Client);
        inner.key("signature").string(&proof.token(Proof::ANTHROPIC, ProofKind::Signature, id));
    }
    leftovers::write(bag, "reasoningContent/reasoningText", &mut inner, losses);
}

/// The value of `redactedContent`: for a client, who need not understand it, perhaps another maker's.
fn sealed<'p>(proof: &'p Proof<'_>, id: Option<&str>, eyes: For) -> Cow<'p, str> {
    match eyes {
        _ if proof.is(BEDROCK) && (id.is_none() || eyes == For::Provider) => Cow::Borrowed(&proof.data),
        For::Provider => Cow::Owned(base64::encode(proof.data.as_bytes())),
        For::Client => {
            let token = proof.token(Proof::ANTHROPIC, ProofKind::Sealed, id);
            Cow::Owned(base64::encode(token.as_bytes()))
        }
    }
}

/// The field that tells a client of a proof, and its value. What is sealed stands alone where nothing
/// can be read beside it.
pub(super) fn token<'p>(
    proof: &'p Proof<'_>,
    id: Option<&str>,
    is_visible: bool,
) -> (&'static str, Cow<'p, str>) {
    match proof.kind {
        ProofKind::Sealed if !is_visible => ("redactedContent", sealed(proof, id, For::Client)),
        _ => ("signature", proof.token(Proof::ANTHROPIC, ProofKind::Signature, id)),
    }
}

/// What a piece of reasoning of a stream adds.
pub(super) enum Piece<'a> {
    /// More text.
    Text(Raw<'a>),
    /// A proof, or a piece of one; another maker's may tell the id of the reasoning.
    Proof(Proof<'a>, Option<Cow<'a, str>>),
    /// Something that is not understood.
    Unknown,
}

/// Reads the value of `reasoningContent` of a stream.
pub(super) fn piece<'a>(content: &mut Fields<'a>) -> Piece<'a> {
    if let Some(text) = content.offer("text") {
        return Piece::Text(text);
    }
    if let Some(token) = content.offer("signature") {
        let (proof, id) = signature(token);
        return Piece::Proof(proof, id);
    }
    content.offer("redactedContent").map_or(Piece::Unknown, |data| {
        let (proof, id) = redacted(data);
        Piece::Proof(proof, id)
    })
}
