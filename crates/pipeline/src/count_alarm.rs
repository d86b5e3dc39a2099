//! Where a provider's counts of tokens and ours lie too far apart.

use weighbridge_records::{CountedSide, CountsDiffer};
use weighbridge_units::{Bucket, Usage};

use crate::settings::CountAlarm;

/// What we make of an attempt ourselves, from bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimates {
    /// Of the prompt; `None` where its bytes say little: pictures, documents, what is kept elsewhere.
    pub(crate) prompt: Option<u64>,
    /// Of the answer as it was seen, shown reasoning included.
    pub(crate) answer: u64,
    /// Whether that is of its content alone. Else its frame, of whatever size, is in it too.
    pub(crate) is_of_content: bool,
}

impl CountAlarm {
    /// The side on which the counts differ, if they do; the prompt first.
    ///
    /// Reasoning is shown, shortened or hidden, as the provider likes. So a count is too high where it is far above what
    /// was seen without the reasoning, which must be told apart for that; and too low where even with it, it
    /// is far below.
    pub(crate) fn compare(self, usage: &Usage, ours: Estimates) -> Option<CountsDiffer> {
        let differ = |side, told: u64, estimated: u64| {
            let (more, less) = (told.max(estimated), told.min(estimated));
            // One more: an estimate is rounded up, and so may a count have been.
            let most = less.saturating_add(1).saturating_mul(self.ratio);
            let is_far = more - less >= self.minimum && more > most;
            is_far.then_some(CountsDiffer { side, told, estimated })
        };
        let prompt = ours.prompt.and_then(|ours| differ(CountedSide::Prompt, usage.prompt(), ours));
        prompt.or_else(|| {
            let all = usage.answer();
            let visible = all.saturating_sub(usage.get(Bucket::Reasoning));
            if usage.told(Bucket::Reasoning) && visible > ours.answer {
                differ(CountedSide::Answer, visible, ours.answer)
            } else if ours.is_of_content && all < ours.answer {
                differ(CountedSide::Answer, all, ours.answer)
            } else {
                None
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usage(prompt: u64, output: u64) -> Usage {
        Usage::new().with(Bucket::Input, prompt).with(Bucket::Output, output)
    }

    proptest! {
        /// Whatever a tokeniser makes of the same bytes, from one token for each to one for sixteen.
        #[test]
        fn ordinary_counts_raise_no_alarm(bytes in 0_u64..40_000_000, answer in 0_u64..4_000_000, per_token in 1_u64..=16) {
            let answer_estimate = answer.div_ceil(4);
            let ours = Estimates { prompt: Some(bytes.div_ceil(4)), answer: answer_estimate, is_of_content: true };
            let told = usage(bytes / per_token, answer / per_token);
            prop_assert_eq!(CountAlarm::default().compare(&told, ours), None);
        }

        #[test]
        fn what_is_far_apart_does(ours in 0_u64..1_000_000, times in 5_u64..100) {
            let alarm = CountAlarm::default();
            let told = ours * times + alarm.minimum;
            let estimates = Estimates { prompt: Some(ours), answer: 0, is_of_content: true };
            let found = alarm.compare(&usage(told, 0), estimates);
            prop_assert_eq!(found, Some(CountsDiffer { side: CountedSide::Prompt, told, estimated: ours }));
            let found = alarm.compare(&usage(0, ours), Estimates { prompt: None, answer: told, is_of_content: true }).unwrap();
            prop_assert_eq!((found.side, found.told, found.estimated), (CountedSide::Answer, ours, told));
        }
    }

    #[test]
    fn neither_reasoning_nor_a_frame_makes_a_difference() {
        let alarm = CountAlarm::default();
        let seen = |answer, is_of_content| Estimates { prompt: None, answer, is_of_content };
        assert_eq!(alarm.compare(&usage(0, 90_000), seen(10, true)), None, "it may be reasoning");
        let hidden = usage(0, 10).with(Bucket::Reasoning, 90_000);
        assert_eq!(alarm.compare(&hidden, seen(10, true)), None, "told apart, and hidden");
        assert_eq!(alarm.compare(&hidden, seen(90_010, true)), None, "told apart, and shown");
        assert!(alarm.compare(&usage(0, 90_000).with(Bucket::Reasoning, 0), seen(10, true)).is_some());
        // Vectors and log probabilities have many bytes and few tokens.
        assert_eq!(alarm.compare(&usage(9, 0), seen(90_000, false)), None);
    }
}
