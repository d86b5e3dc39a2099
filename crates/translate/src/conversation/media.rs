use std::borrow::Cow;

use super::Part;
use crate::place::Placed;

/// Where the bytes of an image, a sound, a film or a document are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaSource<'a> {
    /// In the request or answer.
    Base64 {
        /// Such as `image/png`; empty where the protocol does not say.
        media_type: Cow<'a, str>,
        /// The bytes in standard base64 with padding.
        data: Cow<'a, str>,
    },
    /// At an address: `https:`, or a provider's own such as `gs:` or `s3:`.
    Url {
        /// The address.
        url: Cow<'a, str>,
        /// Such as `image/png`, where the protocol says it.
        media_type: Option<Cow<'a, str>>,
    },
    /// In the file store of the provider that the request was written for.
    File {
        /// The provider's id.
        id: Cow<'a, str>,
    },
}

impl<'a> MediaSource<'a> {
    /// An address of which no more is known.
    pub fn url(url: impl Into<Cow<'a, str>>) -> Self {
        Self::Url { url: url.into(), media_type: None }
    }

    /// The media type, where it is known.
    pub fn media_type(&self) -> Option<&str> {
        match self {
            Self::Base64 { media_type, .. } => Some(media_type.as_ref()).filter(|text| !text.is_empty()),
            Self::Url { media_type, .. } => media_type.as_deref(),
            Self::File { .. } => None,
        }
    }
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image<'a> {
    /// Where its bytes are.
    pub source: MediaSource<'a>,
    /// How closely the model is to look, in OpenAI's words.
    pub detail: Option<Placed<'a, Cow<'a, str>>>,
}

/// Sound: of the user, or spoken by the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio<'a> {
    /// Where its bytes are. An answer of an earlier turn may be meant by its id alone.
    pub source: MediaSource<'a>,
    /// The provider's id of what the model spoke, by which a later request can mean it.
    pub id: Option<Cow<'a, str>>,
    /// What is said in it.
    pub transcript: Option<Cow<'a, str>>,
    /// Until when the provider knows the id, in seconds since the epoch.
    pub expires_at: Option<i64>,
}

impl<'a> Audio<'a> {
    /// A sound of which no more is known.
    pub const fn new(source: MediaSource<'a>) -> Self {
        Self { source, id: None, transcript: None, expires_at: None }
    }
}

/// A film.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Video<'a> {
    /// Where its bytes are.
    pub source: MediaSource<'a>,
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document<'a> {
    /// Where its content is.
    pub source: DocumentSource<'a>,
    /// Its title or file name.
    pub title: Option<Cow<'a, str>>,
    /// What the model is told about it, not to be cited.
    pub context: Option<Placed<'a, Cow<'a, str>>>,
    /// Whether the answer is to cite it.
    pub citations: Option<Placed<'a, bool>>,
}

/// Where a document's content is.
#[derive(Debug, Clone, PartialEq)]
pub enum DocumentSource<'a> {
    /// A file.
    Media(MediaSource<'a>),
    /// Plain text in the request.
    Text(Cow<'a, str>),
    /// Parts in the request, which can be cited one by one.
    Parts(Vec<Part<'a>>),
}

/// Media types and the short names that protocols use for them.
const FORMATS: [(&str, &str); 34] = [
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("wav", "audio/wav"),
    ("mp3", "audio/mpeg"),
    ("mpeg", "audio/mpeg"),
    ("mpga", "audio/mpeg"),
    ("flac", "audio/flac"),
    ("opus", "audio/opus"),
    ("ogg", "audio/ogg"),
    ("aac", "audio/aac"),
    ("m4a", "audio/mp4"),
    ("pcm16", "audio/pcm"),
    ("pcm", "audio/pcm"),
    ("aiff", "audio/aiff"),
    ("mp4", "video/mp4"),
    ("mov", "video/quicktime"),
    ("mkv", "video/x-matroska"),
    ("webm", "video/webm"),
    ("flv", "video/x-flv"),
    ("mpg", "video/mpeg"),
    ("wmv", "video/x-ms-wmv"),
    ("three_gp", "video/3gpp"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
];

/// The media type of a format's short name; `None` where it is not known.
pub fn media_type_of(format: &str) -> Option<&'static str> {
    FORMATS.iter().find(|(name, _)| *name == format).map(|(_, media_type)| *media_type)
}

/// The short name of a media type's format; `None` where it is not known. Parameters, as in
/// `audio/pcm;rate=24000`, are not looked at.
pub fn format_of(media_type: &str) -> Option<&'static str> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let essence = match essence {
        "audio/mp3" => "audio/mpeg",
        "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "audio/wav",
        "audio/l16" | "audio/L16" => "audio/pcm",
        essence => essence,
    };
    FORMATS.iter().find(|(_, media_type)| *media_type == essence).map(|(name, _)| *name)
}
