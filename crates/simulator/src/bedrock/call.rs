//! What a path of Bedrock's runtime asks for.

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Converse,
    ConverseStream,
    CountTokens,
    /// Only for models that give embeddings, and Anthropic's.
    InvokeModel,
    InvokeModelWithResponseStream,
}

/// A request by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The model's id, decoded.
    pub(crate) model: String,
    pub(crate) operation: Operation,
}

impl Call {
    /// The call of a path, if it is one.
    pub(crate) fn of(target: &str) -> Option<Self> {
        let path = target.split('?').next().unwrap_or_default();
        let (model, operation) = path.strip_prefix("/model/")?.rsplit_once('/')?;
        let operation = match operation {
            "converse" => Operation::Converse,
            "converse-stream" => Operation::ConverseStream,
            "count-tokens" => Operation::CountTokens,
            "invoke" => Operation::InvokeModel,
            "invoke-with-response-stream" => Operation::InvokeModelWithResponseStream,
            _ => return None,
        };
        Some(Self { model: decoded(model)?, operation })
    }
}

/// A text without its percent signs.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        let read = |target: &str| Call::of(target).map(|call| (call.model, call.operation));
        let nova = || "amazon.nova-lite-v1:0".to_owned();
        assert_eq!(read("/model/amazon.nova-lite-v1%3A0/converse"), Some((nova(), Operation::Converse)));
        assert_eq!(
            read("/model/amazon.nova-lite-v1:0/converse-stream?x"),
            Some((nova(), Operation::ConverseStream))
        );
        let arn = "arn%3Aaws%3Abedrock%3A%3A%3Ainference-profile%2Fus.x";
        let arn = read(&format!("/model/{arn}/count-tokens")).expect("a call").0;
        assert_eq!(arn, "arn:aws:bedrock:::inference-profile/us.x");
        for other in
            ["/model/x", "/model/x/other", "/models/x/converse", "/model/%zz/converse", "/model/%4/converse"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
