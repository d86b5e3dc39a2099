use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use weighbridge_catalogue::near;
use weighbridge_pipeline::settings::{BUDGETS_BESIDE, RouteSettings, TargetSettings};

use crate::means::budgets;
use crate::problem::Problems;
use crate::reader::Said;
use crate::{rules, said, strategies};

/// The file's models, with fallbacks that name other models followed to their targets.
pub(crate) fn settings(
    said: &[said::Model],
    providers: &[&str],
    problems: &mut Problems,
) -> Vec<RouteSettings> {
    let places = said.iter().enumerate().map(|(place, model)| (model.name.value.as_str(), place)).collect();
    let mut names = Names { models: places, providers, problems };
    let routes: Vec<Route> = said.iter().map(|model| names.route(model)).collect();
    let mut chains = Chains { routes: &routes, done: vec![None; routes.len()], path: Vec::new(), problems };
    let chains: Vec<Vec<TargetSettings>> = (0..routes.len()).map(|place| chains.follow(place)).collect();
    rules::aliases(said, providers, problems);
    let rules = rules::rules(said, problems);
    let model_names: Vec<&str> = said.iter().map(|model| model.name.value.as_str()).collect();
    let settings =
        said.iter().zip(routes).zip(chains).zip(rules).map(|(((model, route), mut fallbacks), rules)| {
            let aliases = model.aliases.said().map_or(&[][..], |said| &said.value);
            fallbacks.retain(|fallback| !route.targets.iter().any(|target| same(target, fallback)));
            RouteSettings {
                name: route.name,
                strategy: strategies::settings(&model.strategy, problems),
                targets: route.targets,
                fallbacks,
                baseline: route.baseline,
                failover: model.failover.settings(&model_names, providers, problems),
                on_disconnect: model.on_disconnect.said().map(|said| said.value),
                limits: model.limits.limits(),
                budgets: budgets(&model.budgets, BUDGETS_BESIDE, problems),
                aliases: aliases.iter().map(|alias| alias.value.as_str().into()).collect(),
                rules,
                require: rules::labels(&model.require, problems),
            }
        });
    settings.collect()
}

/// A model of the file whose own names are resolved.
struct Route {
    name: Arc<str>,
    targets: Vec<TargetSettings>,
    fallbacks: Vec<Fallback>,
    baseline: Option<TargetSettings>,
}

enum Fallback {
    Target(TargetSettings),
    /// Another model of the file: its targets, then its fallbacks.
    Model {
        place: usize,
        span: Range<usize>,
    },
}

fn same(a: &TargetSettings, b: &TargetSettings) -> bool {
    a.provider == b.provider && a.model == b.model
}

/// Resolves names to what they stand for.
struct Names<'a> {
    models: HashMap<&'a str, usize>,
    providers: &'a [&'a str],
    problems: &'a mut Problems,
}

impl Names<'_> {
    fn route(&mut self, model: &said::Model) -> Route {
        self.check_name(&model.name);
        let targets = self.targets(model);
        let fallbacks = self.fallbacks(model, &targets);
        let baseline = model.baseline.said().and_then(|said| self.target(said, false));
        Route { name: model.name.value.as_str().into(), targets, fallbacks, baseline }
    }

    fn check_name(&mut self, name: &Said<String>) {
        let text = &name.value;
        let plain = !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '*');
        if !plain || !(1..=128).contains(&text.len()) {
            self.problems
                .at(name.span.clone(), format!("`{}` cannot name a model", text.escape_debug()))
                .hint("1 to 128 characters without spaces and `*`");
        }
        if let Some((provider, _)) = text.split_once('/').filter(|(first, _)| self.providers.contains(first))
        {
            self.problems
                .at(name.span.clone(), format!("`{text}` already means a model at provider `{provider}`"))
                .hint("choose a name that does not begin with a provider's name and `/`");
        }
    }

    fn targets(&mut self, model: &said::Model) -> Vec<TargetSettings> {
        let name = &model.name.value;
        let Some(said) = model.targets.said() else {
            if model.targets.is_absent() {
                let hint = format!("write under it: targets = [\"{}\"]", self.example("a-model"));
                self.problems
                    .at(model.name.span.clone(), format!("model `{name}` has no targets"))
                    .hint(hint);
            }
            return Vec::new();
        };
        let mut targets: Vec<TargetSettings> = Vec::new();
        for target in &said.value {
            let Some(mut settings) = self.target(&target.model, false) else { continue };
            let weight = target.weight.said().map_or(1, |weight| weight.value);
            settings.weight = u32::try_from(weight).unwrap_or(u32::MAX);
            if targets.iter().any(|other| same(other, &settings)) {
                self.problems
                    .at(
                        target.model.span.clone(),
                        format!("`{}` is a target of `{name}` already", target.model.value),
                    )
                    .hint("name it once, with the weight that it should have");
            }
            targets.push(settings);
        }
        if said.value.is_empty() || (!targets.is_empty() && targets.iter().all(|target| target.weight == 0)) {
            self.problems
                .at(said.span.clone(), format!("no target of model `{name}` would ever be used"))
                .hint("give at least one target a weight above 0");
        }
        targets
    }

    fn fallbacks(&mut self, model: &said::Model, targets: &[TargetSettings]) -> Vec<Fallback> {
        let mut fallbacks = Vec::new();
        for fallback in model.fallbacks.said().map_or(&[][..], |said| &said.value) {
            let Said { value, span } = &fallback.model;
            if let Some(weight) = fallback.weight.said() {
                self.problems
                    .at(weight.span.clone(), "`weight` means nothing here: fallbacks are tried in order")
                    .hint("leave it out");
            }
            if let Some(place) = self.models.get(value.as_str()) {
                fallbacks.push(Fallback::Model { place: *place, span: span.clone() });
                continue;
            }
            let Some(settings) = self.target(&fallback.model, true) else { continue };
            if targets.iter().any(|target| same(target, &settings)) {
                self.problems
                    .at(span.clone(), format!("`{value}` is a target of `{}` already", model.name.value))
                    .hint("a request tries a target once: leave it out here");
            }
            fallbacks.push(Fallback::Target(settings));
        }
        fallbacks
    }

    /// The target that `provider/model` means.
    fn target(&mut self, said: &Said<String>, fallback: bool) -> Option<TargetSettings> {
        let text = &said.value;
        let (message, hint) = match text.split_once('/') {
            Some((_, "")) => {
                (format!("`{text}` names no model"), format!("write {}", self.example("a-model")))
            }
            Some((provider, model)) if self.providers.contains(&provider) => {
                return Some(TargetSettings { provider: provider.into(), model: model.into(), weight: 1 });
            }
            // That there is no provider at all is reported already.
            Some(_) if self.providers.is_empty() => return None,
            Some((provider, model)) => {
                let hint = match near(provider, self.providers.iter().copied()).first() {
                    Some(meant) => format!("did you mean `{meant}/{model}`?"),
                    None => format!("providers: {}", self.providers.join(", ")),
                };
                (format!("there is no provider `{provider}`"), hint)
            }
            None if self.models.contains_key(text.as_str()) => (
                format!("`{text}` is a model of this file, and a target is one model at one provider"),
                "list its targets here, or name it under `fallbacks`".to_owned(),
            ),
            None => {
                let models = if fallback { self.models.keys().copied().collect() } else { Vec::new() };
                let hint = match near(text, models).first() {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("write provider/model, such as {}", self.example(text)),
                };
                (format!("`{text}` names no provider"), hint)
            }
        };
        self.problems.at(said.span.clone(), message).hint(hint);
        None
    }

    fn example(&self, model: &str) -> String {
        format!("{}/{model}", self.providers.first().unwrap_or(&"openai"))
    }
}

/// Follows fallbacks from model to model, depth first, and finds those that lead back.
struct Chains<'a> {
    routes: &'a [Route],
    done: Vec<Option<Vec<TargetSettings>>>,
    path: Vec<usize>,
    problems: &'a mut Problems,
}

impl Chains<'_> {
    /// The targets that a model falls back to, in order and each once.
    fn follow(&mut self, place: usize) -> Vec<TargetSettings> {
        if let Some(Some(done)) = self.done.get(place) {
            return done.clone();
        }
        let routes = self.routes;
        let Some(route) = routes.get(place) else { return Vec::new() };
        self.path.push(place);
        let mut chain: Vec<TargetSettings> = Vec::new();
        for fallback in &route.fallbacks {
            let more = match fallback {
                Fallback::Target(target) => vec![target.clone()],
                Fallback::Model { place, span } => self.follow_model(*place, span),
            };
            for target in more {
                if !chain.iter().any(|other| same(other, &target)) {
                    chain.push(target);
                }
            }
        }
        self.path.pop();
        if let Some(done) = self.done.get_mut(place) {
            *done = Some(chain.clone());
        }
        chain
    }

    fn follow_model(&mut self, place: usize, span: &Range<usize>) -> Vec<TargetSettings> {
        let routes = self.routes;
        if let Some(start) = self.path.iter().position(|seen| *seen == place) {
            let circle = self.path.iter().skip(start).chain([&place]);
            let names: Vec<&str> =
                circle.filter_map(|place| routes.get(*place)).map(|route| &*route.name).collect();
            self.problems
                .at(span.clone(), format!("the fallbacks go round in a circle: {}", names.join(" → ")))
                .hint("take one of them out");
            return Vec::new();
        }
        let used = routes.get(place).map_or(&[][..], |route| &route.targets).iter();
        let mut targets: Vec<TargetSettings> = used.filter(|target| target.weight > 0).cloned().collect();
        targets.extend(self.follow(place));
        targets
    }
}
