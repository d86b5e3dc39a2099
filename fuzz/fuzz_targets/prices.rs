//! Maps and files of prices from outside: read or refused, never a panic; and whatever was read of a map makes a book
//! whose entries can be priced without overflow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weighbridge_pricing::{Imported, PriceBook};
use weighbridge_units::{Bucket, Timestamp, Usage};

fuzz_target!(|text: &str| {
    let book = match Imported::read(text, "https://example.com/prices.json", "2026-11-26") {
        Ok(map) => Some(PriceBook::from_toml(&[("map.toml", &map.to_toml())]).expect("what was taken loads")),
        Err(_) => PriceBook::from_toml(&[("file.toml", text)]).ok(),
    };
    let Some(book) = book else { return };
    let usage = Usage::new().with(Bucket::Input, 1_000_000).with(Bucket::CacheRead, 7).with(Bucket::Output, 3);
    for card in book.cards(Timestamp::from_secs(1_800_000_000)) {
        let cost = card.cost(&usage);
        let worst = card.worst(1_000_007, 3, 1);
        if let (Ok(cost), Ok(worst)) = (cost, worst) {
            assert!(cost.posted <= worst, "{card:?}: {cost:?} is beyond {worst:?}");
        }
    }
});
