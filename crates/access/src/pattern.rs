use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::InvalidDefinition;

/// The longest pattern, in bytes.
const MAX_LENGTH: usize = 256;

/// A text, or its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Match {
    Exactly(Arc<str>),
    StartsWith(Arc<str>),
}

impl Match {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exactly(whole) => text == &**whole,
            Self::StartsWith(start) => text.starts_with(&**start),
        }
    }

    /// Whether it matches everything that `other` does.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exactly(mine), Self::Exactly(other)) => mine == other,
            (Self::Exactly(_), Self::StartsWith(_)) => false,
            (Self::StartsWith(mine), Self::Exactly(other) | Self::StartsWith(other)) => {
                other.starts_with(&**mine)
            }
        }
    }

    /// `None` where a `*` stands anywhere but at the end, or the text could not be stored and logged.
    fn parse(text: &str) -> Option<Self> {
        let plain = text.len() <= MAX_LENGTH && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        let (start, open) = match text.strip_suffix('*') {
            Some(start) => (start, true),
            None => (text, false),
        };
        if !plain || start.contains('*') {
            return None;
        }
        Some(if open { Self::StartsWith(start.into()) } else { Self::Exactly(start.into()) })
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(whole) => f.write_str(whole),
            Self::StartsWith(start) => write!(f, "{start}*"),
        }
    }
}

/// A model's name as clients send it, or its beginning followed by `*`: `openai/*`, `support`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelPattern(Match);

impl ModelPattern {
    /// Whether the model is meant. Names are compared byte by byte: no folding of case.
    pub fn matches(&self, model: &str) -> bool {
        self.0.matches(model)
    }

    /// How closely it describes a model: a whole name is closer than any beginning, a longer beginning closer than
    /// a shorter one.
    pub fn closeness(&self) -> impl Ord + use<> {
        match &self.0 {
            Match::Exactly(whole) => (true, whole.len()),
            Match::StartsWith(start) => (false, start.len()),
        }
    }
}

impl FromStr for ModelPattern {
    type Err = InvalidDefinition;
    fn from_str(text: &str) -> Result<Self, InvalidDefinition> {
        let pattern = Match::parse(text).filter(|_| !text.is_empty());
        pattern.map(Self).ok_or_else(|| InvalidDefinition::ModelPattern(text.to_owned()))
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The models that a key may use, by the names that clients send.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ModelScope {
    /// Every model that the gateway serves.
    #[default]
    All,
    /// The models that one of these means. An empty list means none.
    Only(Vec<ModelPattern>),
}

impl ModelScope {
    /// Whether everything that it allows, `other` allows by one pattern.
    ///
    /// ```
    /// use weighbridge_access::ModelScope;
    ///
    /// let only = |patterns: &[&str]| patterns.iter().map(|p| p.parse()).collect::<Result<_, _>>().map(ModelScope::Only);
    /// assert!(only(&["openai/gpt-4o", "openai/o3*"])?.is_within(&only(&["openai/*"])?));
    /// assert!(!only(&["openai/*"])?.is_within(&only(&["openai/gpt-4o"])?));
    /// assert!(only(&[])?.is_within(&only(&[])?) && !ModelScope::All.is_within(&only(&["*"])?));
    /// # Ok::<(), weighbridge_access::InvalidDefinition>(())
    /// ```
    pub fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::All) => true,
            (Self::All, Self::Only(_)) => false,
            (Self::Only(mine), Self::Only(other)) => {
                mine.iter().all(|pattern| other.iter().any(|wide| wide.0.covers(&pattern.0)))
            }
        }
    }

    /// Whether the model may be used.
    pub fn allows(&self, model: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(patterns) => patterns.iter().any(|pattern| pattern.matches(model)),
        }
    }
}

/// Pages from which a key may be used: `https://app.example.com` (all pages of that origin),
/// `https://*.example.com` (its subdomains, not itself), `https://app.example.com/search*`.
///
/// A referrer can be forged by whoever is not a browser: this keeps a key that ships in a web page
/// from being used by other web pages, and nothing more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReferrerPattern {
    /// `https` or `http`.
    scheme: Arc<str>,
    /// Host and port in lower case, or what follows `*` in it, dot included.
    host: Match,
    /// From the first `/` on; `None` for every path.
    path: Option<Match>,
}

impl ReferrerPattern {
    /// Whether the referrer, a URL as browsers send it, is one of the pages.
    pub fn matches(&self, referrer: &str) -> bool {
        let Some((scheme, host, path)) = split_url(referrer) else { return false };
        let host_matches = match &self.host {
            Match::Exactly(whole) => host.eq_ignore_ascii_case(whole),
            Match::StartsWith(end) => ends_with_ignore_ascii_case(host, end),
        };
        let path = if path.is_empty() { "/" } else { path };
        scheme.eq_ignore_ascii_case(&self.scheme)
            && host_matches
            && self.path.as_ref().is_none_or(|pattern| pattern.matches(path))
    }
}

fn ends_with_ignore_ascii_case(host: &str, end: &str) -> bool {
    let from = host.len().checked_sub(end.len()).filter(|from| *from > 0);
    from.and_then(|from| host.get(from..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// Scheme, host with port, and the rest from the first `/`, `?` or `#` on. User info is refused: it
/// makes `https://app.example.com@evil.example` look like what it is not.
fn split_url(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    (!host.is_empty() && !host.contains('@')).then_some((scheme, host, path))
}

impl FromStr for ReferrerPattern {
    type Err = InvalidDefinition;
    fn from_str(text: &str) -> Result<Self, InvalidDefinition> {
        let parse = || {
            let (scheme, host, path) = split_url(text)?;
            let known = matches!(scheme, "https" | "http");
            let lower = host.to_ascii_lowercase();
            let host = match lower.strip_prefix('*') {
                Some(end) if end.len() > 1 && end.starts_with('.') => Match::StartsWith(end.into()),
                Some(_) => return None,
                None => Match::Exactly(lower.as_str().into()),
            };
            let stray = lower.trim_start_matches('*').contains('*');
            let path = match path {
                "" | "/*" => None,
                path if path.starts_with('/') => Some(Match::parse(path)?),
                _ => return None,
            };
            let plain = Match::parse(&lower.replace('*', "")).is_some();
            (known && plain && !stray).then(|| Self { scheme: scheme.into(), host, path })
        };
        parse().ok_or_else(|| InvalidDefinition::ReferrerPattern(text.to_owned()))
    }
}

impl fmt::Display for ReferrerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        match &self.host {
            Match::Exactly(whole) => f.write_str(whole)?,
            Match::StartsWith(end) => write!(f, "*{end}")?,
        }
        self.path.as_ref().map_or(Ok(()), |path| path.fmt(f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn model_patterns_are_exact_or_open_at_the_end() {
        let scope = ModelScope::Only(vec!["openai/*".parse().unwrap(), "support".parse().unwrap()]);
        assert!(scope.allows("openai/gpt-4o"));
        assert!(scope.allows("support"));
        assert!(!scope.allows("support-2"));
        assert!(!scope.allows("OpenAI/gpt-4o"));
        assert!(!ModelScope::Only(Vec::new()).allows("support"));
        assert!(ModelScope::All.allows("anything"));
        for wrong in ["", "*a", "a*b", "a b", "a\n", "**"] {
            assert!(wrong.parse::<ModelPattern>().is_err(), "{wrong:?}");
        }
    }

    fn allows(pattern: &str, referrer: &str) -> bool {
        pattern.parse::<ReferrerPattern>().unwrap().matches(referrer)
    }

    #[test]
    fn referrers_match_by_origin_and_path() {
        assert!(allows("https://app.example.com", "https://app.example.com/any?x=1"));
        assert!(allows("https://app.example.com", "HTTPS://APP.example.com"));
        assert!(allows("https://app.example.com/*", "https://app.example.com"));
        assert!(allows("https://app.example.com/search*", "https://app.example.com/search/1"));
        assert!(!allows("https://app.example.com/search*", "https://app.example.com/"));
        assert!(allows("https://*.example.com", "https://a.b.example.com/"));
        assert!(!allows("https://*.example.com", "https://example.com/"));
        assert!(allows("http://localhost:3000", "http://localhost:3000/x"));
        assert!(!allows("http://localhost:3000", "http://localhost:3001/x"));
    }

    #[test]
    fn look_alikes_do_not_match() {
        for forged in [
            "https://app.example.com.evil.example/",
            "https://app.example.com@evil.example/",
            "https://evil.example/https://app.example.com",
            "https://evil.example\\.app.example.com/",
            "http://app.example.com/",
            "https://xapp.example.com/",
            "app.example.com",
            "",
        ] {
            assert!(!allows("https://app.example.com", forged), "{forged}");
            assert!(!allows("https://*.app.example.com", forged), "{forged}");
        }
    }

    #[test]
    fn what_is_not_a_referrer_pattern_is_refused() {
        for wrong in [
            "",
            "*",
            "app.example.com",
            "https://",
            "https://*",
            "https://*example.com",
            "https://a*.b",
            "ftp://a",
            "https://a/b*c",
            "https://u@a",
            "https://a b",
        ] {
            assert!(wrong.parse::<ReferrerPattern>().is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn patterns_round_trip(text in "[a-z/:*.-]{0,24}", url in "https?://(\\*\\.)?[a-z]{1,5}(\\.[a-z]{1,5})?(/[a-z]{0,4}\\*?)?") {
            if let Ok(pattern) = text.parse::<ModelPattern>() {
                prop_assert_eq!(pattern.to_string(), text);
            }
            let pattern = url.parse::<ReferrerPattern>().unwrap();
            prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
        }
    }
}
