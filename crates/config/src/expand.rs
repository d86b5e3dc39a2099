use std::path::Path;

use crate::Surroundings;

/// Why a reference could not be followed. It names what was written, never what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExpandError {
    /// `${` without an end.
    Unclosed,
    /// `${…}` around something that is neither a variable's name nor `file:PATH`.
    NotAReference(String),
    /// The variable is not set.
    Unset(String),
    /// The file cannot be read.
    Unreadable { path: String, why: String },
}

/// Replaces `${NAME}` and `${file:PATH}` in a string that was parsed already, so that nothing in a
/// value can change the structure of the file. What is inserted is not looked at again. `$${` stands
/// for `${`. Relative paths start at `folder`; the line break that ends most files is cut off.
///
/// The second part tells whether anything was inserted.
pub(crate) fn expand(
    text: &str,
    folder: &Path,
    surroundings: &dyn Surroundings,
) -> Result<(String, bool), ExpandError> {
    let mut expanded = String::with_capacity(text.len());
    let mut inserted = false;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        let (reference, tail) = after.split_once('}').ok_or(ExpandError::Unclosed)?;
        expanded.push_str(before);
        expanded.push_str(&follow(reference, folder, surroundings)?);
        inserted = true;
        rest = tail;
    }
    expanded.push_str(rest);
    Ok((expanded, inserted))
}

fn follow(reference: &str, folder: &Path, surroundings: &dyn Surroundings) -> Result<String, ExpandError> {
    if let Some(path) = reference.strip_prefix("file:").filter(|path| !path.is_empty()) {
        let unreadable =
            |why: std::io::Error| ExpandError::Unreadable { path: path.to_owned(), why: why.to_string() };
        let text = surroundings.file(&folder.join(path)).map_err(unreadable)?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        return Ok(line.strip_suffix('\r').unwrap_or(line).to_owned());
    }
    let named = reference.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && reference.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !named {
        return Err(ExpandError::NotAReference(reference.to_owned()));
    }
    surroundings.variable(reference).ok_or_else(|| ExpandError::Unset(reference.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io;

    struct Fixed;

    impl Surroundings for Fixed {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "NAME").then(|| "va${NAME}lue".to_owned())
        }

        fn file(&self, path: &Path) -> io::Result<String> {
            (path == Path::new("/etc/wb/secret"))
                .then(|| "geheim\r\n".to_owned())
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }

    fn expanded(text: &str) -> Result<(String, bool), ExpandError> {
        expand(text, Path::new("/etc/wb"), &Fixed)
    }

    #[test]
    fn references_are_followed_once() {
        assert_eq!(expanded("a ${NAME} b"), Ok(("a va${NAME}lue b".to_owned(), true)));
        assert_eq!(expanded("${file:secret}${file:/etc/wb/secret}"), Ok(("geheimgeheim".to_owned(), true)));
        assert_eq!(expanded("$${NAME} $ } {NAME}"), Ok(("${NAME} $ } {NAME}".to_owned(), false)));
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        assert_eq!(expanded("${NAME"), Err(ExpandError::Unclosed));
        assert_eq!(expanded("${OTHER}"), Err(ExpandError::Unset("OTHER".to_owned())));
        for wrong in ["", "1A", "A B", "file:", "env:A", "A-B"] {
            assert_eq!(expanded(&format!("${{{wrong}}}")), Err(ExpandError::NotAReference(wrong.to_owned())));
        }
        let why = io::Error::from(io::ErrorKind::NotFound).to_string();
        assert_eq!(expanded("${file:x}"), Err(ExpandError::Unreadable { path: "x".to_owned(), why }));
    }

    proptest! {
        #[test]
        fn text_without_references_stays(text in "[^$]{0,40}") {
            prop_assert_eq!(expanded(&text), Ok((text, false)));
        }
    }
}
