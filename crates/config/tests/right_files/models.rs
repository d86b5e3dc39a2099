//! Models: fallbacks and strategies.

use std::time::Duration;

use weighbridge_pipeline::settings::{AffinityBy, LatencyOf, StrategyKind, StrategySettings};

use crate::support::*;

#[test]
fn fallbacks_through_models_are_followed_in_order_and_once() {
    let text = r#"
        [providers.openai]
        [models.a]
        targets = ["openai/1"]
        fallbacks = ["b", "openai/5", "c"]
        [models.b]
        targets = ["openai/2", { model = "openai/off", weight = 0 }]
        fallbacks = ["c", "openai/1"]
        [models.c]
        targets = ["openai/3"]
        fallbacks = ["openai/4"]
    "#;
    let config = right(text, &KEYS);
    assert_eq!(names(&route(&config, "a").fallbacks), ["openai/2", "openai/3", "openai/4", "openai/5"]);
    assert_eq!(names(&route(&config, "b").fallbacks), ["openai/3", "openai/4", "openai/1"]);
}

#[test]
fn strategies_have_what_they_need_where_nothing_is_said() {
    let config = right(
        r#"
[providers.openai]
[models.plain]
targets = ["openai/a"]
[models.kept]
targets = ["openai/a", "openai/b"]
strategy = ["headroom", "sticky"]
[models.trial]
targets = ["openai/a", "openai/b"]
strategy = "split"
[models.own]
targets = ["openai/a", "openai/b"]
strategy = ["sticky", "least-latency"]
affinity = "user"
sticky_ttl = "off"
sticky_load_percent = 200
"#,
        &KEYS,
    );
    let strategy = |name| route(&config, name).strategy.clone();
    let settings = |order: &[StrategyKind], affinity| StrategySettings { order: order.to_vec(), affinity };
    let five_minutes = Some(Duration::from_secs(300));
    let sticky = StrategyKind::Sticky { ttl: five_minutes, load_percent: 125 };
    assert_eq!(strategy("plain"), settings(&[], AffinityBy::Prefix));
    assert_eq!(strategy("kept"), settings(&[StrategyKind::Headroom, sticky], AffinityBy::Prefix));
    assert_eq!(strategy("trial"), settings(&[StrategyKind::Split], AffinityBy::Key));
    let sticky = StrategyKind::Sticky { ttl: None, load_percent: 200 };
    let latency = StrategyKind::LeastLatency(LatencyOf::Answer);
    assert_eq!(strategy("own"), settings(&[sticky, latency], AffinityBy::User));
}
