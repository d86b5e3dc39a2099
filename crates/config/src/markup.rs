//! `[prices.markup]`: what tenants pay beside the provider's cost; `[prices.surcharge]`: what they owe for requests on
//! provider keys of their own.

use std::ops::Range;

use weighbridge_access::{InvalidDefinition, ModelPattern, TenantName};
use weighbridge_pipeline::settings::Markup;
use weighbridge_units::{Charges, ChargesError, NanoUsd, Percent};

use crate::keys;
use crate::problem::Problems;
use crate::reader::{Given, Item, Mismatch, Reader, Said, Table};

/// Which of the two sections it is.
#[derive(Clone, Copy, Default)]
pub(crate) enum Kind {
    #[default]
    Markup,
    Surcharge,
}

impl Kind {
    const fn section(self) -> &'static str {
        match self {
            Self::Markup => "prices.markup",
            Self::Surcharge => "prices.surcharge",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Markup => "mark-up",
            Self::Surcharge => "surcharge",
        }
    }
}

/// What a section says.
#[derive(Default)]
pub(crate) struct SaidMarkup {
    kind: Kind,
    all: SaidCharges,
    rules: Vec<SaidRule>,
}

#[derive(Default)]
struct SaidCharges {
    percent: Given<Percent>,
    per_request: Given<NanoUsd>,
    per_million_prompt: Given<NanoUsd>,
    per_million_answer: Given<NanoUsd>,
}

struct SaidRule {
    span: Range<usize>,
    tenant: Given<TenantName>,
    model: Given<ModelPattern>,
    charges: SaidCharges,
}

impl SaidMarkup {
    pub(crate) fn read(reader: &mut Reader<'_>, table: &Table<'_>, kind: Kind) -> Self {
        let (word, keys) = match kind {
            Kind::Markup => (kind.word(), &keys::MARKUP_RULE),
            Kind::Surcharge => (kind.word(), &keys::SURCHARGE_RULE),
        };
        let mut rules = Vec::new();
        if let Given::Said(Said { value: items, .. }) = reader.items(table, "rules", keys) {
            for (span, item) in items {
                match item {
                    Item::Table(rule) => rules.push(SaidRule {
                        span,
                        tenant: reader.parsed(&rule, "tenant", tenant),
                        model: reader.parsed(&rule, "model", model),
                        charges: SaidCharges::read(reader, &rule),
                    }),
                    Item::Text(_) => reader.problems.at(span, format!("a rule of {word}s is a table")).hint(
                        r#"write it like this: { tenant = "acme", model = "openai/*", percent = "10" }"#,
                    ),
                }
            }
        }
        Self { kind, all: SaidCharges::read(reader, table), rules }
    }

    /// What is meant.
    pub(crate) fn markups(&self, problems: &mut Problems) -> Vec<Markup> {
        let (word, section) = (self.kind.word(), self.kind.section());
        let mut markups: Vec<Markup> = Vec::new();
        if self.all.is_said() {
            markups.push(Markup { tenant: None, model: None, charges: self.all.charges() });
        }
        for rule in &self.rules {
            let (tenant, model) = (rule.tenant.said(), rule.model.said());
            let is_wrong = rule.tenant.is_wrong() || rule.model.is_wrong();
            if tenant.is_none() && model.is_none() && !is_wrong {
                problems
                    .at(rule.span.clone(), format!("this rule of {word}s names neither a tenant nor a model"))
                    .hint(format!("what holds for all stands under [{section}] itself"));
            }
            let markup = Markup {
                tenant: tenant.map(|said| said.value.clone()),
                model: model.map(|said| said.value.clone()),
                charges: rule.charges.charges(),
            };
            if markups.iter().any(|other| other.tenant == markup.tenant && other.model == markup.model)
                && !is_wrong
            {
                problems
                    .at(
                        rule.span.clone(),
                        format!("there is a {word} for this tenant and this model already"),
                    )
                    .hint("one holds, alone: leave one of them out");
            }
            markups.push(markup);
        }
        markups
    }
}

impl SaidCharges {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        Self {
            percent: reader.parsed(table, "percent", |text| {
                text.parse().map_err(|_: ChargesError| {
                    Mismatch::new("a percentage from -100 to 10000 with at most four decimals")
                })
            }),
            per_request: reader.parsed(table, "per_request_usd", amount),
            per_million_prompt: reader.parsed(table, "per_million_prompt_usd", amount),
            per_million_answer: reader.parsed(table, "per_million_answer_usd", amount),
        }
    }

    fn is_said(&self) -> bool {
        let amounts = [&self.per_request, &self.per_million_prompt, &self.per_million_answer];
        !self.percent.is_absent() || amounts.iter().any(|amount| !amount.is_absent())
    }

    /// What is wrong was reported already; it keeps the file from being used.
    fn charges(&self) -> Charges {
        let said = |amount: &Given<NanoUsd>| amount.said().map_or(NanoUsd::ZERO, |said| said.value);
        let percent = self.percent.said().map_or(Percent::ZERO, |said| said.value);
        let charges = Charges::of_cost(percent)
            .with_request(said(&self.per_request))
            .and_then(|charges| charges.with_million_prompt(said(&self.per_million_prompt)))
            .and_then(|charges| charges.with_million_answer(said(&self.per_million_answer)));
        charges.unwrap_or_default()
    }
}

fn amount(text: &str) -> Result<NanoUsd, Mismatch> {
    let in_range = |amount: &NanoUsd| !amount.is_negative() && *amount <= Charges::AMOUNT_MAX;
    let amount = text.parse().ok().filter(in_range);
    amount.ok_or_else(|| Mismatch::new("an amount of dollars such as \"0.50\", at most ten million"))
}

fn tenant(text: &str) -> Result<TenantName, Mismatch> {
    let name = TenantName::new(text).ok().filter(TenantName::is_proper);
    name.ok_or_else(|| Mismatch::new("an organisation or a team, such as \"acme\" or \"acme/search\""))
}

fn model(text: &str) -> Result<ModelPattern, Mismatch> {
    text.parse().map_err(|_: InvalidDefinition| {
        Mismatch::new("a model as clients name it, or its beginning followed by `*`")
    })
}
