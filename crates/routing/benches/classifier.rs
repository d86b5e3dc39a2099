//! How long a guess takes, for a short prompt, a long one, and one in a script without spaces.
//!
//! ```console
//! $ cargo bench -p weighbridge-routing --bench classifier
//! ```

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use weighbridge_routing::{Prompt, classify};

const SHORT: &str = "Translate to German: \"Where is the train station?\"";
const LONG: &str = "Our Postgres query went from 20 ms to 9 s after an upgrade. Find out why the planner chose a nested \
                    loop, and what statistic or index would fix it without hints. ";
const UNSPACED: &str = "请综合以下四份研究报告，比较其方法论差异，评估各自证据强度，分析结论相互矛盾的原因。";

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args();
    let long = LONG.repeat(100);
    for (name, user) in [("short", SHORT), ("long", &long), ("unspaced", UNSPACED)] {
        criterion.bench_function(&format!("classify/{name}"), |bencher| {
            bencher.iter(|| classify(black_box(&Prompt { user, ..Prompt::default() })));
        });
    }
    criterion.final_summary();
}
