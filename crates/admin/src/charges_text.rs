use serde::{Deserialize, Serialize};
use weighbridge_units::{Charges, ChargesError, NanoUsd, Usd};

use crate::AdminError;
use crate::new_key::money;

/// What is added to a provider's cost, as text: money and percentages are never numbers. What is absent is zero.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargesText {
    /// A percentage of the cost, such as `20`; below zero is a discount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<String>,
    /// Dollars for each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_request_usd: Option<String>,
    /// Dollars for a million tokens of prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_million_prompt_usd: Option<String>,
    /// Dollars for a million tokens of answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_million_answer_usd: Option<String>,
}

impl ChargesText {
    /// As it is shown.
    pub fn of(charges: Charges) -> Self {
        let amount = |amount: NanoUsd| (amount != NanoUsd::ZERO).then(|| Usd::from(amount).to_string());
        Self {
            percent: Some(charges.percent().to_string()),
            per_request_usd: amount(charges.per_request()),
            per_million_prompt_usd: amount(charges.per_million_prompt()),
            per_million_answer_usd: amount(charges.per_million_answer()),
        }
    }

    /// What is meant.
    pub(crate) fn read(&self, field: &'static str) -> Result<Charges, AdminError> {
        let wrong = |why: ChargesError| AdminError::invalid(field, why);
        let amount =
            |text: &Option<String>| text.as_deref().map_or(Ok(NanoUsd::ZERO), |text| money(field, text));
        let percent = self.percent.as_deref().unwrap_or("0").parse().map_err(wrong)?;
        let charges =
            Charges::of_cost(percent).with_request(amount(&self.per_request_usd)?).map_err(wrong)?;
        let charges = charges.with_million_prompt(amount(&self.per_million_prompt_usd)?).map_err(wrong)?;
        charges.with_million_answer(amount(&self.per_million_answer_usd)?).map_err(wrong)
    }
}
