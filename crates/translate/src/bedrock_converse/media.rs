//! Images, documents, films and sounds: short names of formats, and where the bytes are.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Object, Raw, ReadError};

use super::leftovers::{self, keep};
use crate::Losses;
use crate::conversation::{MediaSource, format_of, media_type_of};

const FORMATS_OF_IMAGES: [&str; 4] = ["png", "jpeg", "gif", "webp"];
const FORMATS_OF_DOCUMENTS: [&str; 9] = ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"];
const FORMATS_OF_VIDEO: [&str; 9] = ["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"];
const FORMATS_OF_AUDIO: [&str; 15] = [
    "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm",
    "webm",
];

/// What kind of media a block holds: the format's name for it, and the short names of formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaKind {
    Image,
    Document,
    Video,
    Audio,
}

impl MediaKind {
    /// The field of a content block that holds it.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Document => "document",
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }

    /// The media type of one of the kind's formats; a new format gets a type that says its name.
    pub(super) fn media_type(self, format: &str) -> String {
        let known = match (self, format) {
            (Self::Video, "mpeg") => Some("video/mpeg"),
            (Self::Audio, "mp4") => Some("audio/mp4"),
            (Self::Audio, "mkv" | "mka") => Some("audio/x-matroska"),
            (Self::Audio, "webm") => Some("audio/webm"),
            (Self::Audio, "x-aac") => Some("audio/x-aac"),
            _ => media_type_of(format),
        };
        let class = match self {
            Self::Document => "application",
            kind => kind.field(),
        };
        known.map_or_else(|| format!("{class}/{format}"), str::to_owned)
    }

    /// The format of a media type, where the kind has it.
    pub(super) fn format(self, media_type: &str) -> Option<&'static str> {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        let format = match essence {
            "audio/x-matroska" => "mka",
            "audio/webm" => "webm",
            "audio/x-aac" => "x-aac",
            "image/jpg" => "jpeg",
            _ => match format_of(media_type)? {
                "pcm16" => "pcm",
                format => format,
            },
        };
        let formats: &[&str] = match self {
            Self::Image => &FORMATS_OF_IMAGES,
            Self::Document => &FORMATS_OF_DOCUMENTS,
            Self::Video => &FORMATS_OF_VIDEO,
            Self::Audio => &FORMATS_OF_AUDIO,
        };
        formats.contains(&format).then_some(format)
    }
}

/// Reads `source`: bytes, or an object in S3. `None` for anything else.
pub(super) fn source<'a>(
    source: &mut Fields<'a>,
    media_type: String,
    path: &str,
    bag: &mut Bag<'a>,
) -> Result<Option<MediaSource<'a>>, ReadError> {
    if let Some(data) = source.take("bytes")?.value() {
        return Ok(Some(MediaSource::Base64 { media_type: media_type.into(), data }));
    }
    let Some(mut s3) = source.take::<Fields<'a>>("s3Location")?.value() else { return Ok(None) };
    let url = s3.require("uri")?;
    keep(bag, &format!("{path}/s3Location"), s3);
    Ok(Some(MediaSource::Url { url, media_type: Some(media_type.into()) }))
}

/// Whether the bytes are where the service can take them from: in the request, or in S3.
pub(super) fn is_reachable(source: &MediaSource<'_>) -> bool {
    match source {
        MediaSource::Base64 { data, .. } => !data.is_empty(),
        MediaSource::Url { url, .. } => url.starts_with("s3://"),
        MediaSource::File { .. } => false,
    }
}

/// Writes the fields of `source` for what [`is_reachable`].
pub(super) fn write_source<'a>(
    source: &MediaSource<'a>,
    path: &str,
    bag: &Bag<'a>,
    object: &mut Object<'_>,
    losses: &Losses<'a>,
) {
    match source {
        MediaSource::Base64 { data, .. } => object.key("bytes").string(data),
        MediaSource::Url { url, .. } => {
            let mut s3 = object.key("s3Location").object();
            s3.key("uri").string(url);
            leftovers::write(bag, &format!("{path}/s3Location"), &mut s3, losses);
        }
        MediaSource::File { .. } => {}
    }
}

/// A block of media as it is read: its fields, those of `source`, and the media type.
pub(super) struct MediaBlock<'a> {
    pub(super) fields: Fields<'a>,
    pub(super) source: Fields<'a>,
    pub(super) media_type: String,
}

impl<'a> MediaBlock<'a> {
    /// Opens the value of a block's field.
    pub(super) fn open(raw: Raw<'a>, kind: MediaKind) -> Result<Self, ReadError> {
        let mut fields = Fields::read(raw)?;
        let format = fields.take::<Cow<'a, str>>("format")?.value();
        let media_type = format.map_or_else(String::new, |format| kind.media_type(&format));
        Ok(Self { source: fields.require("source")?, fields, media_type })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_a_media_type_and_comes_back() {
        for (kind, formats) in [
            (MediaKind::Image, &FORMATS_OF_IMAGES[..]),
            (MediaKind::Document, &FORMATS_OF_DOCUMENTS),
            (MediaKind::Video, &FORMATS_OF_VIDEO),
            (MediaKind::Audio, &FORMATS_OF_AUDIO),
        ] {
            for format in formats {
                let media_type = kind.media_type(format);
                let back = kind.format(&media_type).unwrap();
                // Several names of the same thing become the first of them.
                assert_eq!(kind.media_type(back), media_type, "{format}");
                assert!(
                    back == *format || ["mpeg", "mpga", "mkv", "mp4"].contains(format),
                    "{format} {back}"
                );
            }
        }
        assert_eq!(MediaKind::Image.format("image/tiff"), None);
        assert_eq!(MediaKind::Image.format("application/pdf"), None);
        assert_eq!(MediaKind::Image.format("image/jpeg; q=1"), Some("jpeg"));
        assert_eq!(MediaKind::Image.media_type("avif"), "image/avif");
    }
}
