use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::fields::{Fields, Notes};
use super::model_names;
use crate::book::{Period, Shelf};
use crate::card::PriceCard;
use crate::error::Mistake;
use crate::rate::{Factor, RateError};

/// What a provider takes for some models in one region: their rates of tokens times a factor. Searches and
/// other pieces cost the same everywhere, as providers' uplifts are on tokens.
///
/// The factor is folded into the rates when the book is loaded, under the provider's name with `@` and the
/// region's behind it, so that pricing knows nothing of regions and a cost is still one multiplication.
pub(super) struct Region {
    provider: String,
    name: String,
    factor: Factor,
    source: String,
    models: Vec<String>,
    /// Where the region stands, should a rate not bear the factor.
    place: Mistake,
}

impl Region {
    /// Reads a region; `None` where a mistake makes it useless, which is noted.
    pub(super) fn read(provider: &str, mut fields: Fields<'_, '_>, notes: &mut Notes<'_>) -> Option<Self> {
        let span: Range<usize> = fields.place();
        let name = fields.text("name", notes);
        let factor = fields.text("factor", notes).and_then(|text| {
            let not_a_factor = |error: RateError| notes.add(span.clone(), format!("`factor`: {error}"));
            text.parse().map_err(not_a_factor).ok()
        });
        let source = fields.text("source", notes);
        if let Some(date) = fields.text("date", notes) {
            fields.date("date", date, notes);
        }
        let models = fields.array("models", notes).map(|models| model_names(models, notes));
        fields.finish("a region", notes);
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_some_and(|name| !name.bytes().all(plain)) {
            notes.add(span.clone(), "a region's `name` has lower-case letters, digits and `-`");
            return None;
        }
        Some(Self {
            provider: provider.to_owned(),
            name: name?.to_owned(),
            factor: factor?,
            source: source?.to_owned(),
            models: models?.into_iter().map(|(name, _)| name).collect(),
            place: notes.mistake(span, String::new()),
        })
    }

    /// Puts the models with their folded rates on the shelf of the region.
    pub(super) fn fold_into(self, shelf: &mut Shelf, mistakes: &mut Vec<Mistake>) {
        let known = shelf.get(&*self.provider);
        let mut folded: HashMap<Arc<str>, Vec<Period>> = HashMap::new();
        let mut note = |problem| mistakes.push(Mistake { problem, ..self.place.clone() });
        for model in &self.models {
            let Some((name, periods)) = known.and_then(|models| models.get_key_value(&**model)) else {
                note(format!("the region `{}` names `{model}`, which has no entry", self.name));
                continue;
            };
            match periods.iter().map(|period| self.fold_period(period)).collect() {
                Ok(periods) => drop(folded.insert(Arc::clone(name), periods)),
                Err(error) => note(format!("the region `{}`, `{model}`: {error}", self.name)),
            }
        }
        let shelf = shelf.entry(self.provider_here()).or_default();
        for (model, periods) in folded {
            if shelf.insert(Arc::clone(&model), periods).is_some() {
                note(format!("the region `{}` names `{model}` twice", self.name));
            }
        }
    }

    fn provider_here(&self) -> Arc<str> {
        format!("{}@{}", self.provider, self.name).into()
    }

    fn fold_period(&self, period: &Period) -> Result<Period, RateError> {
        let mut folded = Period { from: period.from, cards: Default::default() };
        for (place, card) in folded.cards.iter_mut().zip(&period.cards) {
            if let Some(card) = card {
                *place = Some(Arc::new(self.fold_card(card)?));
            }
        }
        Ok(folded)
    }

    fn fold_card(&self, card: &PriceCard) -> Result<PriceCard, RateError> {
        Ok(PriceCard {
            provider: self.provider_here(),
            model: Arc::clone(&card.model),
            tier: card.tier,
            from: card.from,
            source: format!("{}; × {}: {}", card.source, self.factor, self.source).into(),
            checked: Arc::clone(&card.checked),
            version: card.version.clone(),
            rates: Arc::new(card.rates.times(self.factor)?),
            chosen: None,
        })
    }
}
