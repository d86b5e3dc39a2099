//! The content codings of HTTP (<https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1>), piece by piece.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use thiserror::Error;
use zstd::stream::raw::{DParameter, InBuffer, Operation as _, OutBuffer};

/// Bytes that are made at once.
const STEP: usize = 16 * 1024;

/// The largest window that zstd may have on the web (<https://www.rfc-editor.org/rfc/rfc9659#section-3>), as a
/// power of two.
const ZSTD_WINDOW: u32 = 23;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        let known: [(&[u8], Self); 5] = [
            (b"gzip", Self::Gzip),
            (b"x-gzip", Self::Gzip),
            (b"deflate", Self::Deflate),
            (b"br", Self::Brotli),
            (b"zstd", Self::Zstd),
        ];
        known.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, coding)| coding)
    }
}

/// Why an answer cannot be decoded.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Wrong {
    #[error("the compressed answer is damaged")]
    Damaged,
    #[error("the compressed answer becomes too large")]
    TooLarge,
}

/// A decoder that is given an answer piece by piece.
pub(crate) struct Decoder {
    coding: Coding,
    /// Made of the first byte of each member: some servers leave out deflate's header.
    machine: Option<Machine>,
}

enum Machine {
    Inflate(Decompress),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(zstd::stream::raw::Decoder<'static>),
}

/// What one step has done.
struct Step {
    taken: usize,
    made: usize,
    has_ended: bool,
}

impl Decoder {
    pub(crate) const fn new(coding: Coding) -> Self {
        Self { coding, machine: None }
    }

    /// Whether everything so far is complete.
    pub(crate) const fn has_ended(&self) -> bool {
        self.machine.is_none()
    }

    /// Decodes `data` to the end of `out`, which may grow by `most` bytes.
    pub(crate) fn decode(&mut self, mut data: &[u8], out: &mut Vec<u8>, most: u64) -> Result<(), Wrong> {
        let mut space = [0; STEP];
        let mut left = most;
        loop {
            let machine = match &mut self.machine {
                Some(machine) => machine,
                None => match data.first() {
                    Some(first) => self.machine.insert(Machine::new(self.coding, *first)?),
                    None => return Ok(()),
                },
            };
            let step = machine.step(data, &mut space)?;
            data = data.get(step.taken..).unwrap_or_default();
            left = left.checked_sub(step.made as u64).ok_or(Wrong::TooLarge)?;
            out.extend_from_slice(space.get(..step.made).unwrap_or_default());
            if step.has_ended {
                self.machine = None;
                // Another member may follow, where a format knows any.
                if !data.is_empty() && !matches!(self.coding, Coding::Gzip | Coding::Zstd) {
                    return Err(Wrong::Damaged);
                }
            } else if step.made < STEP && (data.is_empty() || step.taken + step.made == 0) {
                return if data.is_empty() { Ok(()) } else { Err(Wrong::Damaged) };
            }
        }
    }
}

impl Machine {
    fn new(coding: Coding, first: u8) -> Result<Self, Wrong> {
        Ok(match coding {
            Coding::Gzip => Self::Inflate(Decompress::new_gzip(15)),
            // Method 8, and a window of at most 32 KiB: <https://www.rfc-editor.org/rfc/rfc1950#section-2.2>.
            Coding::Deflate => Self::Inflate(Decompress::new(first & 15 == 8 && first >> 4 <= 7)),
            Coding::Brotli => Self::Brotli(Box::new(BrotliState::new(
                StandardAlloc::default(),
                StandardAlloc::default(),
                StandardAlloc::default(),
            ))),
            Coding::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new().map_err(|_| Wrong::Damaged)?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW)).map_err(|_| Wrong::Damaged)?;
                Self::Zstd(decoder)
            }
        })
    }

    fn step(&mut self, data: &[u8], space: &mut [u8]) -> Result<Step, Wrong> {
        match self {
            Self::Inflate(inflate) => {
                let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
                let status =
                    inflate.decompress(data, space, FlushDecompress::None).map_err(|_| Wrong::Damaged)?;
                let count = |total: u64, before: u64| usize::try_from(total - before).unwrap_or_default();
                Ok(Step {
                    taken: count(inflate.total_in(), before_in),
                    made: count(inflate.total_out(), before_out),
                    has_ended: status == Status::StreamEnd,
                })
            }
            Self::Brotli(state) => {
                let (mut taken, mut made, mut total) = (0, 0, 0);
                let (mut waiting, mut room) = (data.len(), space.len());
                let result = BrotliDecompressStream(
                    &mut waiting,
                    &mut taken,
                    data,
                    &mut room,
                    &mut made,
                    space,
                    &mut total,
                    state,
                );
                match result {
                    BrotliResult::ResultFailure => Err(Wrong::Damaged),
                    result => {
                        let has_ended = matches!(result, BrotliResult::ResultSuccess);
                        Ok(Step { taken, made, has_ended })
                    }
                }
            }
            Self::Zstd(decoder) => {
                let (mut input, mut output) = (InBuffer::around(data), OutBuffer::around(space));
                let hint = decoder.run(&mut input, &mut output).map_err(|_| Wrong::Damaged)?;
                let (taken, made) = (input.pos(), output.pos());
                Ok(Step { taken, made, has_ended: hint == 0 })
            }
        }
    }
}
