//! Images, files and sound in the forms of this protocol: addresses, `data:` URLs and ids of files.

use std::borrow::Cow;

use crate::conversation::MediaSource;

/// An address, or the bytes themselves in a `data:` URL (RFC 2397) of base64.
pub(super) fn source(url: Cow<'_, str>) -> MediaSource<'_> {
    match url {
        Cow::Borrowed(text) => match base64_data_url(text) {
            Some((media_type, data)) => {
                MediaSource::Base64 { media_type: Cow::Borrowed(media_type), data: Cow::Borrowed(data) }
            }
            None => MediaSource::url(text),
        },
        Cow::Owned(text) => match base64_data_url(&text) {
            Some((media_type, data)) => MediaSource::Base64 {
                media_type: Cow::Owned(media_type.to_owned()),
                data: Cow::Owned(data.to_owned()),
            },
            None => MediaSource::url(text),
        },
    }
}

/// Media type and data of a `data:` URL, where its bytes are in base64 and it has no parameters.
pub(super) fn base64_data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?;
    (!media_type.is_empty() && !media_type.contains(';')).then_some((media_type, data))
}

/// The `data:` URL of bytes in base64.
pub(super) fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}
