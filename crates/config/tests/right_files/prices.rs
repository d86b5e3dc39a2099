//! Prices of one's own.

use weighbridge_config::KeptIn;
use weighbridge_pipeline::settings::UnknownModel;
use weighbridge_pricing::ServiceTier;
use weighbridge_units::{Bucket, Timestamp};

use crate::fixed::Fixed;
use crate::support::*;

#[test]
fn prices_can_be_ones_own() {
    let config = right(
        "[prices]\nunknown_model = { input = \"5\", output = \"20\" }\n\
         [[prices.overrides]]\nprovider = \"openai\"\nmodel = \"gpt-4o-mini\"\nrates = { input = \"0.12\", output = \"0.48\" }\n\
         [providers.openai]\napi_keys = []\n\
         [providers.vertex]\nregion = \"europe-west1\"\nproject = \"p\"\napi_keys = []\n\
         [providers.worldwide]\npreset = \"vertex\"\nregion = \"global\"\nproject = \"p\"\napi_keys = []\n\
         [storage]\nurl = \"sqlite:data/wb.db\"",
        &Fixed { variables: &[], files: &[] },
    );
    let at = Timestamp::from_secs(1_795_226_938);
    assert_eq!(config.settings.unknown_model, UnknownModel::DefaultRate);
    let default = config.prices.find_default(at).unwrap();
    assert_eq!(default.rate(Bucket::Output, 1).unwrap().to_string(), "20");
    let input = |tier| {
        let card = config.prices.find("openai", "gpt-4o-mini-2024-07-18", tier, at).unwrap();
        card.rate(Bucket::Input, 1).unwrap().to_string()
    };
    assert_eq!((input(ServiceTier::Standard), input(ServiceTier::Batch)), ("0.12".into(), "0.075".into()));
    assert_eq!(&*provider(&config, "vertex").price_as, "vertex@regional");
    assert_eq!(&*provider(&config, "worldwide").price_as, "vertex");
    assert_eq!(config.price_updates.kept, KeptIn::File("/etc/wb/data/wb.prices.toml".into()));
    assert_eq!(config.price_updates.refresh, None);
    // Every reading gives the same version, whichever day it is.
    let listed = config.price_updates.sources.listed_book().unwrap();
    assert_eq!(listed.version(), weighbridge_pricing::PriceBook::builtin().unwrap().version());
    assert_eq!(config.price_updates.sources.book().unwrap().version(), config.prices.version());
}

#[test]
fn a_map_of_prices_takes_the_place_of_what_the_files_say() {
    const MAP: &str = r#"{"gpt-4o-mini": {"litellm_provider": "openai", "input_cost_per_token": 1.4e-07,
        "output_cost_per_token": 6e-07, "output_cost_per_pixel": 1}}"#;
    let config = right(
        "[prices]\nfiles = [\"map.json\"]\n[providers.openai]\napi_keys = []\n",
        &Fixed { variables: &[], files: &[("/etc/wb/map.json", MAP)] },
    );
    let at = Timestamp::from_secs(1_795_226_938);
    let card = config.prices.find("openai", "gpt-4o-mini", ServiceTier::Standard, at).unwrap();
    assert_eq!(card.rate(Bucket::Input, 1).unwrap().to_string(), "0.14");
    assert_eq!((card.source(), card.checked()), ("map.json", "unknown"));
    assert_eq!(config.price_updates.left_out.len(), 1);
    assert!(config.explain().contains("1 of what maps of prices say was not understood"));
}
