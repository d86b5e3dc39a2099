use std::fmt::{self, Write};
use std::sync::atomic::{AtomicI64, Ordering};

use weighbridge_units::NanoUsd;

/// A sum of money that only grows: whole nano-dollars, never a float.
#[derive(Default)]
pub(crate) struct MoneyCounter(AtomicI64);

impl MoneyCounter {
    /// Adds an amount. At the end of the range, 9.2 billion dollars, the sum stays (rule M4).
    pub(crate) fn add(&self, amount: NanoUsd) {
        let added = |sum: i64| sum.saturating_add(amount.get());
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        // The closure never gives `None`, so that the update cannot fail.
        let _ = self.0.fetch_update(set, fetch, |sum| Some(added(sum)));
    }

    pub(crate) fn sum(&self) -> NanoUsd {
        NanoUsd::new(self.0.load(Ordering::Relaxed))
    }
}

/// Writes one counter of money in the OpenMetrics text format, with its value as exact decimal text:
/// <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
pub(crate) fn write_counter<'a>(
    to: &mut String,
    name: &str,
    help: &str,
    series: impl Iterator<Item = (&'a str, &'a str, NanoUsd)>,
) -> fmt::Result {
    write!(to, "# HELP {name} {help}.\n# TYPE {name} counter\n")?;
    for (model, provider, sum) in series {
        write!(to, "{name}_total{{model=\"")?;
        write_escaped(to, model)?;
        to.write_str("\",provider=\"")?;
        write_escaped(to, provider)?;
        writeln!(to, "\"}} {sum}")?;
    }
    Ok(())
}

fn write_escaped(to: &mut String, label: &str) -> fmt::Result {
    for character in label.chars() {
        match character {
            '\\' => to.write_str("\\\\")?,
            '"' => to.write_str("\\\"")?,
            '\n' => to.write_str("\\n")?,
            plain => to.write_char(plain)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_label_cannot_break_out_of_its_line() {
        let mut text = String::new();
        let series = [("a\"} 1\nb", "p\\", NanoUsd::new(12_500))];
        write_counter(&mut text, "cost_usd", "Cost", series.into_iter()).unwrap();
        insta::assert_snapshot!(text, @r#"
        # HELP cost_usd Cost.
        # TYPE cost_usd counter
        cost_usd_total{model="a\"} 1\nb",provider="p\\"} 0.000012500
        "#);
    }

    #[test]
    fn m4_the_sum_stays_at_the_end_of_the_range() {
        let counter = MoneyCounter::default();
        counter.add(NanoUsd::MAX);
        counter.add(NanoUsd::new(1));
        assert_eq!(counter.sum(), NanoUsd::MAX);
    }

    proptest! {
        #[test]
        fn m1_sums_are_exact(amounts in prop::collection::vec(0_i64..1_000_000_000_000, 0..50)) {
            let counter = MoneyCounter::default();
            amounts.iter().for_each(|nanos| counter.add(NanoUsd::new(*nanos)));
            prop_assert_eq!(counter.sum(), NanoUsd::new(amounts.iter().sum()));
        }
    }
}
