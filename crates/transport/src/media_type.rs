//! What content is: as its sender names it, and as its first bytes show.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A media type without its parameters, in lower case: `image/png`
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1>).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MediaType(Cow<'static, str>);

/// This is no media type, or no range of them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a media type: write one like image/png, or a range like image/*")]
pub struct InvalidMediaType(String);

/// Content is not what its sender calls it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("it is called {claimed}, but its bytes are something else")]
pub struct Miscalled {
    /// What the sender calls it.
    pub claimed: MediaType,
}

/// How much the first bytes of content tell.
#[derive(Clone, Copy, PartialEq)]
enum Proof {
    /// Content of this type always begins so, and nothing else does.
    Certain,
    /// Content that begins so is of this type, but not all of this type begins so.
    Sufficient,
    /// Several types share this beginning; the one given is the most usual.
    Container,
}

/// A type, what its first bytes prove, and how they are known.
type Signature = (&'static str, Proof, fn(&[u8]) -> bool);

/// Beginnings as in <https://mimesniff.spec.whatwg.org/#matching-a-mime-type-pattern> and in the
/// formats' own specifications. The first that fits counts.
#[rustfmt::skip]
const SIGNATURES: &[Signature] = &[
    ("image/png",       Proof::Certain,    |b| b.starts_with(b"\x89PNG\r\n\x1a\n")),
    ("image/jpeg",      Proof::Certain,    |b| b.starts_with(b"\xff\xd8\xff")),
    ("image/gif",       Proof::Certain,    |b| b.starts_with(b"GIF87a") || b.starts_with(b"GIF89a")),
    ("image/webp",      Proof::Certain,    |b| is_riff(b, b"WEBP")),
    ("image/bmp",       Proof::Certain,    is_bitmap),
    ("image/tiff",      Proof::Certain,    |b| b.starts_with(b"II*\0") || b.starts_with(b"MM\0*")),
    ("image/avif",      Proof::Certain,    |b| has_brand(b, &[b"avif", b"avis"])),
    ("image/heic",      Proof::Certain,    |b| has_brand(b, &[b"heic", b"heix", b"hevc", b"hevx"])),
    ("image/heif",      Proof::Sufficient, |b| has_brand(b, &[b"mif1", b"msf1"])),
    ("application/pdf", Proof::Certain,    |b| b.starts_with(b"%PDF-")),
    ("audio/wav",       Proof::Certain,    |b| is_riff(b, b"WAVE")),
    ("audio/flac",      Proof::Sufficient, |b| b.starts_with(b"fLaC")),
    ("audio/mpeg",      Proof::Sufficient, is_mpeg_audio),
    ("audio/aac",       Proof::Sufficient, |b| b.starts_with(b"\xff\xf1") || b.starts_with(b"\xff\xf9")),
    ("audio/mp4",       Proof::Container,  |b| has_brand(b, &[b"M4A ", b"M4B "])),
    ("video/quicktime", Proof::Container,  |b| has_brand(b, &[b"qt  "])),
    ("video/mp4",       Proof::Container,  |b| b.get(4..8) == Some(b"ftyp")),
    ("audio/ogg",       Proof::Container,  |b| b.starts_with(b"OggS")),
    ("video/webm",      Proof::Container,  |b| b.starts_with(b"\x1a\x45\xdf\xa3")),
    ("application/zip", Proof::Container,  |b| b.starts_with(b"PK\x03\x04")),
];

/// Types that say only that there are bytes; stores of files send them for whatever they keep.
const SAYING_NOTHING: [&str; 5] = [
    "application/octet-stream",
    "binary/octet-stream",
    "application/download",
    "application/x-download",
    "application/force-download",
];

/// How far a PDF reader looks for the mark, since other bytes may stand before it: PDF 1.7, H.3.
const PDF_MARK_WITHIN: usize = 1024;

impl MediaType {
    /// Bytes of which nothing is known.
    pub const BYTES: Self = Self(Cow::Borrowed("application/octet-stream"));

    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the first bytes show: the type where they prove it, the most usual one where several
    /// types begin alike, `None` where nothing is known to begin so.
    pub fn of_bytes(content: &[u8]) -> Option<Self> {
        signature_of(content).map(|(name, ..)| Self(Cow::Borrowed(name)))
    }

    /// What content is, by what its sender calls it and by its first bytes.
    ///
    /// The bytes are right where they prove a type, since providers look at them too and refuse a
    /// JPEG that is called a PNG. The sender is right where they prove nothing.
    ///
    /// # Errors
    /// [`Miscalled`] where the type that the sender names would show in the bytes and does not: most
    /// often an error page in place of an image.
    pub fn settle(claimed: Option<&Self>, content: &[u8]) -> Result<Self, Miscalled> {
        let shown = signature_of(content);
        let claimed = claimed.filter(|claimed| !SAYING_NOTHING.contains(&claimed.as_str()));
        match (claimed, shown) {
            (None, Some((name, ..))) => Ok(Self(Cow::Borrowed(name))),
            (None, None) => Ok(Self::BYTES),
            (Some(_), Some((name, Proof::Certain | Proof::Sufficient, _))) => Ok(Self(Cow::Borrowed(name))),
            (Some(claimed), _) if claimed.as_str() == "application/pdf" => {
                let start = &content[..content.len().min(PDF_MARK_WITHIN)];
                match start.windows(5).any(|window| window == b"%PDF-") {
                    true => Ok(claimed.clone()),
                    false => Err(Miscalled { claimed: claimed.clone() }),
                }
            }
            (Some(claimed), _) => {
                let shows = |(name, proof, _): &Signature| *proof == Proof::Certain && claimed.0 == *name;
                match SIGNATURES.iter().any(shows) {
                    true => Err(Miscalled { claimed: claimed.clone() }),
                    false => Ok(claimed.clone()),
                }
            }
        }
    }
}

impl FromStr for MediaType {
    type Err = InvalidMediaType;

    /// Reads the value of a `content-type` header; its parameters are left out.
    fn from_str(text: &str) -> Result<Self, InvalidMediaType> {
        let essence = text.split(';').next().unwrap_or_default().trim_matches([' ', '\t']);
        match essence.split_once('/') {
            Some((kind, subtype)) if is_token(kind) && is_token(subtype) => {
                Ok(Self(Cow::Owned(essence.to_ascii_lowercase())))
            }
            _ => Err(InvalidMediaType(text.chars().take(100).collect())),
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Media types that are wanted: `image/png`, `image/*`, `*/*`.
///
/// ```
/// use weighbridge_transport::Accept;
///
/// let images = Accept::of(["image/png", "image/jpeg"])?;
/// assert!(images.takes(&"image/PNG; q=1".parse()?));
/// assert!(!images.takes(&"image/svg+xml".parse()?));
/// assert_eq!(images.to_string(), "image/png, image/jpeg");
/// # Ok::<(), weighbridge_transport::InvalidMediaType>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept(Vec<MediaRange>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum MediaRange {
    Everything,
    /// With its slash: `image/`.
    Kind(String),
    One(MediaType),
}

impl Accept {
    /// Takes these types and ranges; without any, nothing.
    ///
    /// # Errors
    /// [`InvalidMediaType`] for the first that is neither.
    pub fn of<I>(ranges: I) -> Result<Self, InvalidMediaType>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let range = |range: I::Item| match range.as_ref() {
            "*/*" => Ok(MediaRange::Everything),
            text => match text.strip_suffix("/*") {
                Some(kind) if is_token(kind) => {
                    Ok(MediaRange::Kind(format!("{}/", kind.to_ascii_lowercase())))
                }
                Some(_) => Err(InvalidMediaType(text.to_owned())),
                None => text.parse().map(MediaRange::One),
            },
        };
        ranges.into_iter().map(range).collect::<Result<_, _>>().map(Self)
    }

    /// Whether content of that type is wanted.
    pub fn takes(&self, found: &MediaType) -> bool {
        self.0.iter().any(|range| match range {
            MediaRange::Everything => true,
            MediaRange::Kind(kind) => found.0.starts_with(kind),
            MediaRange::One(wanted) => wanted == found,
        })
    }

    /// Whether content that its sender calls so may turn out to be wanted, so that it is worth
    /// reading: what says nothing may be anything.
    pub fn may_take(&self, claimed: Option<&MediaType>) -> bool {
        claimed.is_none_or(|claimed| SAYING_NOTHING.contains(&claimed.as_str()) || self.takes(claimed))
    }
}

impl fmt::Display for Accept {
    /// As the value of an `accept` header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, range) in self.0.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { ", " })?;
            match range {
                MediaRange::Everything => f.write_str("*/*")?,
                MediaRange::Kind(kind) => write!(f, "{kind}*")?,
                MediaRange::One(one) => write!(f, "{one}")?,
            }
        }
        Ok(())
    }
}

fn signature_of(content: &[u8]) -> Option<&'static Signature> {
    SIGNATURES.iter().find(|(_, _, begins)| begins(content))
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2>, but for `*`, which means a range.
fn is_token(text: &str) -> bool {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_riff(bytes: &[u8], form: &[u8; 4]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(form)
}

/// The two letters alone begin many a text: the reserved field and the size of the header that
/// follows tell.
fn is_bitmap(bytes: &[u8]) -> bool {
    const HEADER_SIZES: [u8; 7] = [12, 40, 52, 56, 64, 108, 124];
    bytes.starts_with(b"BM")
        && bytes.get(6..10) == Some(&[0; 4])
        && matches!(bytes.get(14..18), Some([size, 0, 0, 0]) if HEADER_SIZES.contains(size))
}

/// An ISO base media file with one of these major brands: <https://mp4ra.org/registered-types/brands>.
fn has_brand(bytes: &[u8], brands: &[&[u8; 4]]) -> bool {
    bytes.get(4..8) == Some(b"ftyp")
        && bytes.get(8..12).is_some_and(|brand| brands.iter().any(|known| brand == *known))
}

/// An ID3 tag, or the frame header of MPEG 1 or 2, layer III.
fn is_mpeg_audio(bytes: &[u8]) -> bool {
    matches!(bytes, [b'I', b'D', b'3', 2..=4, ..] | [0xff, 0xfa | 0xfb | 0xf2 | 0xf3, ..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEGINNINGS: [(&str, &[u8]); 24] = [
        ("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        ("image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF"),
        ("image/gif", b"GIF87a\x01\0"),
        ("image/gif", b"GIF89a\x01\0"),
        ("image/webp", b"RIFF\x24\0\0\0WEBPVP8 "),
        ("image/bmp", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"),
        ("image/tiff", b"II*\0\x08\0\0\0"),
        ("image/tiff", b"MM\0*\0\0\0\x08"),
        ("image/avif", b"\0\0\0\x20ftypavif"),
        ("image/heic", b"\0\0\0\x18ftypheic"),
        ("image/heif", b"\0\0\0\x18ftypmif1"),
        ("application/pdf", b"%PDF-1.7\n"),
        ("audio/wav", b"RIFF\x24\0\0\0WAVEfmt "),
        ("audio/flac", b"fLaC\0\0\0\x22"),
        ("audio/mpeg", b"ID3\x04\0\0\0"),
        ("audio/mpeg", b"\xff\xfb\x90\x64"),
        ("audio/aac", b"\xff\xf1\x50\x80"),
        ("audio/mp4", b"\0\0\0\x20ftypM4A "),
        ("video/quicktime", b"\0\0\0\x14ftypqt  "),
        ("video/mp4", b"\0\0\0\x20ftypisom"),
        ("audio/ogg", b"OggS\0\x02"),
        ("video/webm", b"\x1a\x45\xdf\xa3\x9f"),
        ("application/zip", b"PK\x03\x04\x14\0"),
        ("application/zip", b"PK\x03\x04"),
    ];

    fn named(text: &str) -> MediaType {
        text.parse().unwrap()
    }

    #[test]
    fn beginnings_are_known_and_cut_ones_are_not() {
        for (name, bytes) in BEGINNINGS {
            assert_eq!(MediaType::of_bytes(bytes), Some(named(name)), "{name}");
            assert_eq!(MediaType::of_bytes(&bytes[..1]), None, "{name}");
        }
        let texts: [&[u8]; 8] = [
            b"",
            b"<!DOCTYPE html>",
            b"{}",
            b"BMW makes cars, the story goes on",
            b"ID3 is a tag",
            b"\xff\xfeH\0i\0",
            b"RIFF",
            b"PK",
        ];
        for text in texts {
            assert_eq!(MediaType::of_bytes(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_bytes_are_right_where_they_prove_something() {
        let png = BEGINNINGS[0].1;
        for claimed in ["image/jpeg", "image/png", "text/plain", "application/octet-stream"] {
            assert_eq!(MediaType::settle(Some(&named(claimed)), png), Ok(named("image/png")), "{claimed}");
        }
        assert_eq!(MediaType::settle(None, png), Ok(named("image/png")));
    }

    #[test]
    fn the_sender_is_right_where_they_prove_nothing() {
        let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        for (claimed, bytes) in [
            (docx, &b"PK\x03\x04"[..]),
            ("text/csv", b"a,b"),
            ("audio/opus", b"OggS"),
            ("audio/mpeg", b"\0\0"),
        ] {
            assert_eq!(MediaType::settle(Some(&named(claimed)), bytes), Ok(named(claimed)), "{claimed}");
        }
        assert_eq!(MediaType::settle(None, b"a,b"), Ok(MediaType::BYTES));
        assert_eq!(MediaType::settle(Some(&named("binary/octet-stream")), b"a,b"), Ok(MediaType::BYTES));
    }

    #[test]
    fn an_error_page_is_no_image() {
        for claimed in ["image/png", "image/jpeg", "image/webp", "application/pdf", "audio/wav"] {
            for bytes in [&b"<html>Sorry</html>"[..], b"", b"PK\x03\x04"] {
                let claimed = named(claimed);
                let settled = MediaType::settle(Some(&claimed), bytes);
                assert_eq!(settled, Err(Miscalled { claimed }));
            }
        }
    }

    #[test]
    fn a_pdf_may_begin_late_but_not_too_late() {
        let pdf = named("application/pdf");
        let after = |junk: usize| [&vec![b' '; junk][..], b"%PDF-1.4"].concat();
        assert_eq!(MediaType::settle(Some(&pdf), &after(900)), Ok(pdf.clone()));
        assert!(MediaType::settle(Some(&pdf), &after(1024)).is_err());
    }

    #[test]
    fn types_are_read_as_headers_have_them() {
        for (text, expected) in [
            ("Image/PNG", "image/png"),
            (" text/html ; charset=utf-8", "text/html"),
            ("a/b+c.d-e;x", "a/b+c.d-e"),
        ] {
            assert_eq!(named(text).as_str(), expected);
        }
        for bad in ["", "image", "image/", "/png", "image/*", "im age/png", "image/png/x", "image/é", ";"] {
            assert!(bad.parse::<MediaType>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_take_what_they_say() {
        let some = Accept::of(["image/*", "application/pdf"]).unwrap();
        for (name, taken) in
            [("image/png", true), ("application/pdf", true), ("imagery/png", false), ("text/html", false)]
        {
            assert_eq!(some.takes(&named(name)), taken, "{name}");
        }
        assert_eq!(some.to_string(), "image/*, application/pdf");
        assert!(Accept::of(["*/*"]).unwrap().takes(&named("x/y")));
        assert!(!Accept::of([""; 0]).unwrap().takes(&named("x/y")));
        for bad in ["*", "/*", "*/png", "image"] {
            assert!(Accept::of([bad]).is_err(), "{bad}");
        }
        assert!(some.may_take(None) && some.may_take(Some(&MediaType::BYTES)));
        assert!(!some.may_take(Some(&named("text/html"))));
    }

    proptest! {
        /// What is settled for a claim that was not refused is the claim or what the bytes show.
        #[test]
        fn nothing_is_made_up(claim in "(image|text|audio)/(png|jpeg|html|wav|x)", bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let claimed = named(&claim);
            if let Ok(settled) = MediaType::settle(Some(&claimed), &bytes) {
                prop_assert!(settled == claimed || Some(settled) == MediaType::of_bytes(&bytes));
            }
        }

        #[test]
        fn any_text_can_be_looked_at(text in "\\PC{0,40}") {
            if let Ok(read) = text.parse::<MediaType>() {
                prop_assert_eq!(read.as_str().parse::<MediaType>(), Ok(read.clone()));
            }
        }
    }
}
