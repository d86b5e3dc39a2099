use memchr::memchr2;

/// How deep a value may be nested.
pub(super) const DEPTH_MAX: u32 = u128::BITS;

/// Finds where one JSON value ends, by its brackets and quotes, in whatever pieces it comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ValueScanner {
    within: Within,
    /// How many brackets are open.
    depth: u32,
    /// Their kinds, the innermost in the lowest bit: 1 is an object.
    kinds: u128,
}

#[derive(Debug, Clone, Copy)]
enum Within {
    /// Brackets, or nothing yet.
    Structure,
    /// A string.
    Text,
    /// A string, behind a backslash.
    Escape,
    /// A number, `true`, `false` or `null` that stands alone.
    Scalar,
}

/// Why a value has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    TooDeep,
    /// A bracket that closes another kind than is open.
    Mismatch {
        byte: u8,
        at: usize,
    },
}

impl ValueScanner {
    /// For a value that starts with this byte, which is still to be scanned; `None` where none does.
    pub(crate) const fn starting_with(byte: u8) -> Option<Self> {
        let within = match byte {
            b'{' | b'[' | b'"' => Within::Structure,
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Within::Scalar,
            _ => return None,
        };
        Some(Self { within, depth: 0, kinds: 0 })
    }

    /// How many of the next bytes still belong to the value, or `None` if it does not end in them.
    ///
    /// A scalar has no end of its own: what cannot be part of it ends it.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, Broken> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self.within {
                Within::Structure => {
                    let mark = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'));
                    let Some(mark) = mark else { return Ok(None) };
                    at += mark;
                    let byte = rest.get(mark).copied().unwrap_or_default();
                    if self.structure(byte).map_err(|broken| broken.found_at(at))? {
                        return Ok(Some(at + 1));
                    }
                    at += 1;
                }
                Within::Text => {
                    let Some(mark) = memchr2(b'"', b'\\', rest) else { return Ok(None) };
                    at += mark + 1;
                    if rest.get(mark) == Some(&b'\\') {
                        self.within = Within::Escape;
                    } else {
                        self.within = Within::Structure;
                        if self.depth == 0 {
                            return Ok(Some(at));
                        }
                    }
                }
                Within::Escape => {
                    self.within = Within::Text;
                    at += 1;
                }
                Within::Scalar => {
                    let is_part =
                        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                    return Ok(rest.iter().position(|byte| !is_part(*byte)));
                }
            }
        }
        Ok(None)
    }

    /// Takes a quote or bracket; whether it ends the value.
    fn structure(&mut self, byte: u8) -> Result<bool, Broken> {
        match byte {
            b'"' => self.within = Within::Text,
            b'{' | b'[' if self.depth == DEPTH_MAX => return Err(Broken::TooDeep),
            b'{' | b'[' => {
                self.depth += 1;
                self.kinds = self.kinds << 1 | u128::from(byte == b'{');
            }
            _ => {
                let closes_object = byte == b'}';
                if self.depth == 0 || (self.kinds & 1 == 1) != closes_object {
                    return Err(Broken::Mismatch { byte, at: 0 });
                }
                self.depth -= 1;
                self.kinds >>= 1;
                return Ok(self.depth == 0);
            }
        }
        Ok(false)
    }
}

impl Broken {
    const fn found_at(self, at: usize) -> Self {
        match self {
            Self::TooDeep => self,
            Self::Mismatch { byte, .. } => Self::Mismatch { byte, at },
        }
    }
}
