//! The scripts. Each is sent by its hash, and whole where the server does not know it.

use redis::Script;

/// Everything that is carried out in Redis.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) take: Script,
    pub(crate) settle: Script,
    pub(crate) join: Script,
    pub(crate) beat: Script,
    pub(crate) leave: Script,
    pub(crate) merge: Script,
    pub(crate) places: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        let with_cells = |body: &str| Script::new(&format!("{}\n{body}", include_str!("lua/cells.lua")));
        Self {
            take: with_cells(include_str!("lua/take.lua")),
            settle: with_cells(include_str!("lua/settle.lua")),
            join: with_cells(include_str!("lua/join.lua")),
            beat: with_cells(include_str!("lua/beat.lua")),
            leave: Script::new(include_str!("lua/leave.lua")),
            merge: with_cells(include_str!("lua/merge.lua")),
            places: Script::new(include_str!("lua/places.lua")),
        }
    }
}
