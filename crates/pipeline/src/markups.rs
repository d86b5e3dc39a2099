//! Which mark-up holds for a request, or which surcharge, where it goes out on a key of the tenant's own.

use std::cmp::Reverse;

use weighbridge_access::{Principal, Tenant, TenantName};
use weighbridge_pricing::Terms;
use weighbridge_units::Charges;

use crate::settings::Markup;

/// How close a mark-up is to a tenant: a team's, an organisation's, or everybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Everybody,
    Organisation,
    Team,
}

/// The configured mark-ups, or surcharges, closest first.
#[derive(Debug, Default)]
pub(crate) struct Markups(Box<[(Level, Markup)]>);

impl Markups {
    pub(crate) fn new(settings: &[Markup]) -> Self {
        let level = |markup: &Markup| match &markup.tenant {
            None => Level::Everybody,
            Some(tenant) if tenant.is_team() => Level::Team,
            Some(_) => Level::Organisation,
        };
        let mut sorted: Vec<_> = settings.iter().map(|markup| (level(markup), markup.clone())).collect();
        // Stable: of two alike the first holds.
        sorted.sort_by_key(|(level, markup)| {
            Reverse((*level, markup.model.as_ref().map(|model| model.closeness())))
        });
        Self(sorted.into())
    }

    /// What the tenant of a key pays for a model, by the name that the client sent.
    pub(crate) fn markup(&self, principal: &Principal, model: &str) -> Terms {
        self.charges(principal, model, |tenant| tenant.markup).map_or(Terms::AT_COST, Terms::markup)
    }

    /// What the tenant of a key owes for the service, where it pays the provider itself.
    pub(crate) fn surcharge(&self, principal: &Principal, model: &str) -> Terms {
        self.charges(principal, model, |tenant| tenant.surcharge).map_or(Terms::NOTHING, Terms::surcharge)
    }

    fn charges(
        &self,
        principal: &Principal,
        model: &str,
        of: impl Fn(&Tenant) -> Option<Charges>,
    ) -> Option<Charges> {
        let own = |level: Level| {
            let is_team = level == Level::Team;
            let mut nodes = principal.tenants().map(|node| node.tenant());
            nodes.find(|tenant| tenant.name.is_team() == is_team).and_then(|tenant| of(tenant))
        };
        if self.0.is_empty() && principal.tenants().all(|node| of(node.tenant()).is_none()) {
            return None;
        }
        let tenant = &principal.key().tenant;
        let levels = [Level::Team, Level::Organisation, Level::Everybody];
        levels.into_iter().find_map(|level| {
            let own = if level == Level::Everybody { None } else { own(level) };
            self.for_model(level, tenant, model).or(own).or_else(|| self.for_all(level, tenant))
        })
    }

    fn for_model(&self, level: Level, tenant: &TenantName, model: &str) -> Option<Charges> {
        self.at(level, tenant)
            .find(|markup| markup.model.as_ref().is_some_and(|pattern| pattern.matches(model)))
            .map(|markup| markup.charges)
    }

    fn for_all(&self, level: Level, tenant: &TenantName) -> Option<Charges> {
        self.at(level, tenant).find(|markup| markup.model.is_none()).map(|markup| markup.charges)
    }

    fn at<'a>(&'a self, level: Level, tenant: &'a TenantName) -> impl Iterator<Item = &'a Markup> {
        let fits = move |markup: &&Markup| markup.tenant.as_ref().is_none_or(|whose| tenant.is_within(whose));
        self.0.iter().filter(move |(of, _)| *of == level).map(|(_, markup)| markup).filter(fits)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use weighbridge_access::{Directory, KeyHash, Pepper, Tenant, VirtualKey};
    use weighbridge_units::{KeyId, Timestamp};

    use super::*;

    fn percent(text: &str) -> Charges {
        format!("{text}%").parse().unwrap()
    }

    fn markup(tenant: &str, model: &str, text: &str) -> Markup {
        let some = |text: &str| (!text.is_empty()).then_some(text.to_owned());
        Markup {
            tenant: some(tenant).map(|name| name.parse().unwrap()),
            model: some(model).map(|pattern| pattern.parse().unwrap()),
            charges: percent(text),
        }
    }

    /// A key of `acme/search`, whose team and organisation have these mark-ups of their own.
    fn principal(team: Option<&str>, organisation: Option<&str>) -> Arc<Principal> {
        let directory = Directory::new(Pepper::new(&[1; 32]).unwrap());
        let id = KeyId::from_bits(1);
        let tenant = "acme/search".parse().unwrap();
        let key = VirtualKey::new(id, "k", tenant, KeyHash::from_bytes([0; 32]), Timestamp::default());
        let own = [("acme/search", team), ("acme", organisation)].map(|(name, own)| {
            let mut tenant = Tenant::new(name.parse().unwrap(), Timestamp::default());
            tenant.markup = own.map(percent);
            tenant
        });
        directory.refresh(vec![key], own.to_vec());
        directory.get(id).unwrap()
    }

    #[test]
    fn the_closest_holds_alone() {
        let all = [
            markup("", "", "1"),
            markup("", "gpt*", "2"),
            markup("", "gpt-x", "3"),
            markup("acme", "", "4"),
            markup("acme", "gpt*", "5"),
            markup("acme/search", "", "6"),
            markup("acme/search", "gpt-x", "7"),
            markup("other", "gpt-x", "99"),
        ];
        let holds = |count: usize, team, organisation, model: &str| {
            let terms = Markups::new(&all[..count]).markup(&principal(team, organisation), model);
            terms.charges().percent().to_string()
        };
        // Each that is closer takes the place of the one before it.
        let told = [(1, "1"), (2, "2"), (3, "3"), (4, "4"), (5, "5"), (6, "6"), (7, "7"), (8, "7")];
        for (count, expected) in told {
            assert_eq!(holds(count, None, None, "gpt-x"), expected, "{count}");
        }
        assert_eq!(holds(3, None, None, "claude"), "1");
        // A tenant's own goes before what the file says of it for all models, and behind what it says for one.
        assert_eq!(holds(4, None, Some("50"), "gpt-x"), "50");
        assert_eq!(holds(5, None, Some("50"), "gpt-x"), "5");
        assert_eq!(holds(5, Some("60"), Some("50"), "gpt-x"), "60");
        assert_eq!(holds(8, Some("60"), None, "gpt-x"), "7");
        assert_eq!(holds(8, Some("60"), None, "gpt-y"), "60");
    }

    #[test]
    fn without_any_a_price_is_the_cost() {
        assert!(Markups::default().markup(&principal(None, None), "gpt").is_at_cost());
        let strangers = Markups::new(&[markup("other", "", "5")]);
        assert!(strangers.markup(&principal(None, None), "gpt").is_at_cost());
        let own = Markups::default().markup(&principal(None, Some("0")), "gpt");
        assert!(own.is_at_cost(), "nothing is added");
    }
}
