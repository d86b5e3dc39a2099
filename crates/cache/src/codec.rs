//! What is sealed: the fields of a kept answer one after the other, each text behind its length.
//!
//! Id and tenant are not among them: they are the entry's key, and associated data of the seal.

use weighbridge_units::{KeyId, Timestamp};

use crate::{AnsweredBy, EntryKey, KeptAnswer, KeptId};

/// Appends an answer's fields to `out`. `None` where a text is too long for its length to be written.
pub(crate) fn write(answer: &KeptAnswer, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&answer.key.get().to_be_bytes());
    out.extend_from_slice(&answer.created.as_micros().to_be_bytes());
    text(&answer.answered_by.provider, out)?;
    text(&answer.answered_by.model, out)?;
    optional(answer.provider_id.as_deref(), out)?;
    optional(answer.previous.as_ref().map(KeptId::as_str), out)?;
    text(&answer.input, out)?;
    text(&answer.answer, out)
}

/// How many bytes [`write`] appends.
pub(crate) fn length(answer: &KeptAnswer) -> usize {
    let texts = [
        answer.answered_by.provider.len(),
        answer.answered_by.model.len(),
        answer.provider_id.as_ref().map_or(0, |id| id.len() + 4),
        answer.previous.as_ref().map_or(0, |id| id.as_str().len() + 4),
        answer.input.len(),
        answer.answer.len(),
    ];
    texts.iter().sum::<usize>() + 8 + 8 + 4 * 4 + 2
}

/// Reads what [`write`] wrote; `None` where it is anything else.
pub(crate) fn read(key: &EntryKey, bytes: &[u8]) -> Option<KeptAnswer> {
    let mut rest = bytes;
    let answer = KeptAnswer {
        id: key.id().clone(),
        tenant: key.tenant().clone(),
        key: KeyId::from_bits(u64::from_be_bytes(array(&mut rest)?)),
        created: Timestamp::from_micros(i64::from_be_bytes(array(&mut rest)?)),
        answered_by: AnsweredBy { provider: take(&mut rest)?, model: take(&mut rest)? },
        provider_id: take_optional(&mut rest)?,
        previous: match take_optional(&mut rest)? {
            Some(id) => Some(KeptId::new(&id).ok()?),
            None => None,
        },
        input: take(&mut rest)?,
        answer: take(&mut rest)?,
    };
    rest.is_empty().then_some(answer)
}

fn text(text: &str, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&u32::try_from(text.len()).ok()?.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
    Some(())
}

fn optional(field: Option<&str>, out: &mut Vec<u8>) -> Option<()> {
    out.push(u8::from(field.is_some()));
    field.map_or(Some(()), |field| text(field, out))
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (read, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*read)
}

fn take(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(u32::from_be_bytes(array(rest)?)).ok()?;
    let (read, left) = rest.split_at_checked(length)?;
    *rest = left;
    String::from_utf8(read.to_vec()).ok()
}

fn take_optional(rest: &mut &[u8]) -> Option<Option<String>> {
    match array(rest)? {
        [0] => Some(None),
        [1] => take(rest).map(Some),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Purpose;
    use crate::testkit::generators::kept_answer;

    proptest! {
        #[test]
        fn what_was_written_is_read_back(answer in kept_answer()) {
            let mut bytes = Vec::new();
            write(&answer, &mut bytes).unwrap();
            prop_assert_eq!(bytes.len(), length(&answer));
            let key = EntryKey::new(Purpose::Response, answer.tenant.clone(), answer.id.clone());
            prop_assert_eq!(read(&key, &bytes), Some(answer));
        }

        #[test]
        fn what_is_cut_or_goes_on_is_nothing(answer in kept_answer(), cut in any::<prop::sample::Index>()) {
            let key = EntryKey::new(Purpose::Response, answer.tenant.clone(), answer.id.clone());
            let mut bytes = Vec::new();
            write(&answer, &mut bytes).unwrap();
            prop_assert_eq!(read(&key, &bytes[..cut.index(bytes.len())]), None);
            bytes.push(0);
            prop_assert_eq!(read(&key, &bytes), None);
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let key = EntryKey::new(
                Purpose::Response, crate::Tenant::new("t").unwrap(), KeptId::new("i").unwrap()
            );
            let _ = read(&key, &bytes);
        }
    }
}
