//! Rules lead requests to other models, labels keep them from providers, and what cannot fit is not sent.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use serde_json::{Value, json};
use weighbridge_access::ModelScope;
use weighbridge_pipeline::settings::{ResidencyRule, Settings};
use weighbridge_pipeline::{RouteExplanation, RouteQuestion, explain_route};
use weighbridge_routing::{Labels, Rule, Task, Then, When};
use weighbridge_simulator::Fault;
use weighbridge_units::{Protocol, Timestamp};
use world::{Answer, CHAT, MESSAGES, World, post};

fn only(model: &str) -> ModelScope {
    ModelScope::Only(vec![model.parse().unwrap()])
}

fn labels(text: &str) -> Labels {
    text.parse().unwrap()
}

fn asked(model: &str, text: &str) -> Value {
    json!({"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": text}]})
}

fn rule(name: &str, then: Then, change: impl FnOnce(&mut When)) -> Rule {
    let mut when = When::default();
    change(&mut when);
    Rule { name: name.into(), when, then }
}

/// Says something of the route of that name.
fn route<'s>(
    settings: &'s mut Settings,
    name: &str,
) -> &'s mut weighbridge_pipeline::settings::RouteSettings {
    settings.routes.iter_mut().find(|route| &*route.name == name).unwrap()
}

fn label(settings: &mut Settings, provider: &str, text: &str) {
    settings.providers.iter_mut().find(|each| &*each.name == provider).unwrap().labels = labels(text);
}

/// Easy requests for `only-claude` go to `only-gpt`; those of mobile clients that mention code nowhere.
fn ruled() -> World {
    World::with_settings(1, |settings| {
        let no = Then::Refuse("No code on the road.".into());
        route(settings, "only-claude").rules = vec![
            rule("no-code", no, |when| {
                when.headers = vec![("x-app".into(), "mobile".into())];
                when.tasks = vec![Task::Code];
            }),
            rule("easy", Then::Model("only-gpt".into()), |when| when.difficulty = Some(0..400)),
        ];
    })
}

fn sent(world: &World) -> [usize; 2] {
    [&world.openai, &world.anthropic].map(|simulator| simulator.invoice().len())
}

#[tokio::test(start_paused = true)]
async fn an_easy_request_is_served_by_the_small_model_and_a_hard_one_is_not() {
    let world = ruled();
    let easy = world.post(MESSAGES, &asked("only-claude", "What is the capital of Peru?")).await;
    assert_eq!((easy.status, sent(&world)), (200, [1, 0]), "{}", easy.text());
    let record = world.record(&easy).await;
    assert_eq!(record["model"], "only-claude");
    let [matched] = record["rules"].as_array().unwrap().as_slice() else { panic!("{record}") };
    let said = [&matched["of"], &matched["rule"], &matched["to"], &matched["task"]];
    assert_eq!(said, ["only-claude", "easy", "only-gpt", "question"]);
    assert!(matched["difficulty"].as_u64().unwrap() < 400);

    let hard = "Prove that every bounded sequence has a convergent subsequence, and justify each step.";
    let hard = world.post(MESSAGES, &asked("only-claude", hard)).await;
    assert_eq!((hard.status, sent(&world)), (200, [1, 1]));
    let record = world.record(&hard).await;
    assert_eq!(record["rules"][0].get("rule"), None, "{record}");
    assert!(record["rules"][0]["difficulty"].as_u64().unwrap() >= 400);
    // Where no rule reads the text, nobody does.
    let other = world.post(CHAT, &asked("only-gpt", "hi")).await;
    assert_eq!(world.record(&other).await.get("rules"), None);
}

#[tokio::test(start_paused = true)]
async fn a_rule_refuses_in_its_own_words() {
    let world = ruled();
    let mut request = post(MESSAGES, &world.key, &asked("only-claude", "Write a Python function that adds."));
    request.headers_mut().insert("x-app", "mobile".parse().unwrap());
    let answer = world.send(request).await;
    assert_eq!((answer.status, sent(&world)), (403, [0, 0]));
    assert_eq!(answer.json()["error"]["message"], "No code on the road.");
    assert_eq!(answer.json()["error"]["type"], "permission_error");
    assert_eq!(world.record(&answer).await["refused"], "rule");
}

#[tokio::test(start_paused = true)]
async fn a_rule_gives_no_key_a_model_that_it_may_not_use() {
    let mut world = ruled();
    let key = world.add_key(|key| key.models = only("only-claude"));
    let answer =
        world.send(post(MESSAGES, &key, &asked("only-claude", "What is the capital of Peru?"))).await;
    assert_eq!((answer.status, sent(&world)), (403, [0, 0]), "{}", answer.text());
    assert!(answer.text().contains("only-gpt"));
}

#[tokio::test(start_paused = true)]
async fn an_alias_is_the_model_itself() {
    let mut world = World::with_settings(1, |settings| {
        route(settings, "only-gpt").aliases = vec!["gpt-of-old".into()];
    });
    let key = world.add_key(|key| key.models = only("only-gpt"));
    let answer = world.send(post(CHAT, &key, &asked("gpt-of-old", "hi"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(world.record(&answer).await["model"], "only-gpt");
    let other = world.add_key(|key| key.models = only("gpt-of-old"));
    assert_eq!(world.send(post(CHAT, &other, &asked("gpt-of-old", "hi"))).await.status, 403);
}

/// Whose demand it is makes no difference: a provider without the label is not asked, and if the others fail, the
/// request does.
#[tokio::test(start_paused = true)]
async fn what_lacks_a_demanded_label_is_never_asked() {
    let by_header = |_: &mut Settings| {};
    let by_model = |settings: &mut Settings| route(settings, "gpt").require = labels("region=eu");
    let by_key_or_tenant = |tenant: Option<&str>, key: Option<&str>| {
        let rule = ResidencyRule {
            tenants: tenant.into_iter().map(Into::into).collect(),
            keys: key.into_iter().map(Into::into).collect(),
            require: labels("region=eu"),
        };
        move |settings: &mut Settings| settings.residency = vec![rule]
    };
    let id = World::new().keys[0].id.to_string();
    type Change = Box<dyn FnOnce(&mut Settings)>;
    let demands: [(&str, Change); 8] = [
        ("header", Box::new(by_header)),
        ("model", Box::new(by_model)),
        ("tenant", Box::new(by_key_or_tenant(Some("acme"), None))),
        ("key", Box::new(by_key_or_tenant(None, Some(&id)))),
        ("all", Box::new(by_key_or_tenant(None, None))),
        ("key in the store", Box::new(|_| {})),
        ("team in the store", Box::new(|_| {})),
        ("organisation in the store", Box::new(|_| {})),
    ];
    for (whose, change) in demands {
        let mut world = World::with_settings(1, |settings| {
            label(settings, "anthropic", "region=eu,region=fr");
            label(settings, "openai", "region=us");
            change(settings);
        });
        match whose {
            "key in the store" => world.key = world.add_key(|key| key.require = labels("region=eu")),
            "team in the store" => {
                world.key = world.add_key(|key| key.tenant = "acme/search".parse().unwrap());
                world.add_tenant("acme/search", |team| team.require = labels("region=eu"));
            }
            "organisation in the store" => {
                world.add_tenant("acme", |organisation| organisation.require = labels("region=eu"));
            }
            _ => {}
        }
        let ask = async |demanded: &str| -> Answer {
            let mut request = post(CHAT, &world.key, &asked("gpt", "hi"));
            if whose == "header" || demanded != "region=eu" {
                request.headers_mut().insert("x-gateway-require", demanded.parse().unwrap());
            }
            world.send(request).await
        };
        let served = ask("region=eu").await;
        assert_eq!((served.status, sent(&world)), (200, [0, 1]), "{whose}: {}", served.text());
        let record = world.record(&served).await;
        assert_eq!(
            record["excluded"],
            json!([{"target": "openai/gpt-4o-mini", "reason": "residency"}]),
            "{whose}"
        );
        // The only one that may be asked is down: nobody else is.
        world.anthropic.push_fault(Fault::Status { code: 529, retry_after: None });
        let failed = ask("region=eu").await;
        assert!(failed.status >= 500, "{whose}: {}", failed.text());
        assert!(world.openai.invoice().is_empty(), "{whose}");
        world.anthropic.clear_faults();
        // What nobody has is refused, whoever else is content.
        let refused = ask("region=eu,law=hipaa").await;
        assert_eq!(
            (refused.status, refused.json()["error"]["code"].as_str()),
            (403, Some("residency")),
            "{whose}"
        );
        assert!(refused.text().contains("law=hipaa"));
        assert_eq!(world.record(&refused).await["refused"], "residency");
    }
}

#[tokio::test(start_paused = true)]
async fn what_organisation_team_and_key_demand_holds_together() {
    let all = "law=gdpr,region=eu,zone=b";
    for has in [all, "region=eu,zone=b", "law=gdpr,zone=b", "law=gdpr,region=eu"] {
        let mut world = World::with_settings(1, |settings| label(settings, "anthropic", has));
        world.add_tenant("acme", |organisation| organisation.require = labels("region=eu"));
        world.add_tenant("acme/search", |team| team.require = labels("law=gdpr"));
        world.add_tenant("acme/other", |team| team.require = labels("law=hipaa"));
        world.key = world.add_key(|key| {
            key.tenant = "acme/search".parse().unwrap();
            key.require = labels("zone=b");
        });
        let answer = world.post(CHAT, &asked("gpt", "hi")).await;
        let (status, by) = if has == all { (200, [0, 1]) } else { (403, [0, 0]) };
        assert_eq!((answer.status, sent(&world)), (status, by), "{has}: {}", answer.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_does_not_lead_out_of_what_the_asked_model_demands() {
    let world = World::with_settings(1, |settings| {
        label(settings, "anthropic", "region=eu");
        let asked = route(settings, "only-claude");
        asked.require = labels("region=eu");
        asked.rules =
            vec![rule("all", Then::Model("only-gpt".into()), |when| when.prompt_tokens = Some(0..9_999))];
    });
    let answer = world.post(MESSAGES, &asked("only-claude", "hi")).await;
    assert_eq!((answer.status, sent(&world)), (403, [0, 0]), "{}", answer.text());
    let count = json!({"model": "only-claude", "messages": [{"role": "user", "content": "hi"}]});
    let counted = world.post("/v1/messages/count_tokens", &count).await;
    assert_eq!(counted.header("x-gateway-token-count"), Some("estimated"), "a count sends the prompt, too");
    let mut request = post(MESSAGES, &world.key, &asked("only-claude", "hi"));
    request.headers_mut().insert("x-gateway-require", "region".parse().unwrap());
    assert_eq!(world.send(request).await.status, 400, "a demand that is not understood is not ignored");
}

/// A world whose route `text` goes to a model that sees no pictures and has a window of 16,385 tokens, which the
/// simulated OpenAI no longer serves, and from there to others.
fn with_blind(fallbacks: &[(&str, &str)]) -> World {
    World::with_settings(1, |settings| {
        let mut blind = route(settings, "only-gpt").clone();
        let like = blind.targets[0].clone();
        let target = |(provider, model): &(&str, &str)| {
            let mut target = like.clone();
            (target.provider, target.model) = ((*provider).into(), (*model).into());
            target
        };
        blind.name = "text".into();
        blind.targets = vec![target(&("openai", "gpt-3.5-turbo"))];
        blind.fallbacks = fallbacks.iter().map(target).collect();
        settings.routes.push(blind);
    })
}

fn with_picture(model: &str) -> Value {
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
    json!({"model": model, "messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}]})
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_sent_to_who_sees_it_or_to_nobody() {
    let world = with_blind(&[("openai", "gpt-4o-mini")]);
    let answer = world.post(CHAT, &with_picture("text")).await;
    assert_eq!(
        (answer.status, answer.header("x-gateway-model")),
        (200, Some("gpt-4o-mini")),
        "{}",
        answer.text()
    );
    let excluded = &world.record(&answer).await["excluded"];
    assert_eq!(excluded, &json!([{"target": "openai/gpt-3.5-turbo", "reason": "misfit"}]));
    let plain = world.post(CHAT, &asked("text", "hi")).await;
    assert_eq!(world.record(&plain).await["attempts"][0]["model"], "gpt-3.5-turbo");

    let world = with_blind(&[]);
    let refused = world.post(CHAT, &with_picture("text")).await;
    assert_eq!((refused.status, sent(&world)), (400, [0, 0]));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("images"), "{}", refused.text());
    assert_eq!(world.record(&refused).await["refused"], "misfit");
}

#[tokio::test(start_paused = true)]
async fn what_is_longer_than_every_window_is_refused_in_the_clients_protocol() {
    let world = with_blind(&[]);
    // 16,385 tokens at eight bytes each are 131,080 bytes.
    let long = world.post(CHAT, &asked("text", &"a".repeat(140_000))).await;
    assert_eq!((long.status, sent(&world)), (400, [0, 0]));
    assert_eq!(long.json()["error"]["code"], "context_length_exceeded", "{}", long.text());
    // What may just fit is for the provider to tell.
    let world = with_blind(&[]);
    world.post(CHAT, &asked("text", &"a".repeat(100_000))).await;
    assert_eq!(world.openai.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_hardly_fits_goes_where_there_is_room_if_the_route_says_so() {
    let text = "a ".repeat(50_000);
    for (on_context, asked_first) in [(true, "gpt-4o-mini"), (false, "gpt-3.5-turbo")] {
        let mut settings = with_blind(&[("openai", "gpt-4o-mini")]).settings;
        route(&mut settings, "text").failover.rules.on_context = on_context;
        let world = World::with_settings(1, |told| *told = settings);
        let answer = world.post(CHAT, &asked("text", &text)).await;
        assert_eq!(world.record(&answer).await["attempts"][0]["model"], asked_first, "{on_context}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_longer_than_the_model_gives_is_not_asked_for() {
    let world = with_blind(&[]);
    let mut body = asked("text", "hi");
    body["max_tokens"] = json!(5_000);
    let refused = world.post(CHAT, &body).await;
    assert_eq!((refused.status, sent(&world)), (400, [0, 0]), "{}", refused.text());
    assert!(refused.text().contains("4096"));
}

#[test]
fn rules_that_lead_nowhere_or_in_circles_are_not_compiled() {
    let compiled = |change: &dyn Fn(&mut Settings)| {
        let mut settings = World::new().settings;
        change(&mut settings);
        weighbridge_pipeline::check(&settings).err().map(|error| error.to_string())
    };
    let to = |model: &str| rule("r", Then::Model(model.into()), |when| when.difficulty = Some(0..1));
    let nowhere = compiled(&|settings| route(settings, "gpt").rules = vec![to("gone")]).unwrap();
    assert!(nowhere.contains("`gone`"), "{nowhere}");
    let circle = compiled(&|settings| {
        route(settings, "gpt").rules = vec![to("claude")];
        route(settings, "claude").rules = vec![to("gpt")];
    });
    assert!(circle.unwrap().contains("lead back"));
    let joined = |settings: &mut Settings| {
        route(settings, "gpt").rules = vec![to("claude"), to("either")];
        route(settings, "claude").rules = vec![to("either")];
    };
    assert_eq!(compiled(&joined), None);
    let twice = compiled(&|settings| route(settings, "gpt").aliases = vec!["claude".into()]);
    assert!(twice.unwrap().contains("defined twice"));
}

#[test]
fn models_that_are_shut_down_are_told_in_time() {
    let settings = with_blind(&[("openai", "gpt-5"), ("openai", "gpt-4o-mini")]).settings;
    let on = |year, month, day| Timestamp::from_date(year, month, day).unwrap();
    let told = |now| {
        let told = weighbridge_pipeline::retiring(&settings, now).into_iter().map(|retiring| retiring.target);
        told.filter(|target| target != "openai/gpt-4o-mini").collect::<Vec<_>>()
    };
    assert!(told(on(2026, 1, 1)).is_empty());
    assert_eq!(told(on(2026, 9, 1)), ["openai/gpt-3.5-turbo"]);
    assert_eq!(told(on(2026, 11, 26)), ["openai/gpt-3.5-turbo", "openai/gpt-5"]);
}

#[test]
fn a_route_is_explained_without_sending_anything() {
    let world = World::with_settings(1, |settings| {
        label(settings, "anthropic", "region=eu");
        route(settings, "gpt").rules =
            vec![rule("easy", Then::Model("either".into()), |when| when.difficulty = Some(0..400))];
    });
    let principal = world.directory.get(world.keys[0].id).unwrap();
    let explained = |text: &str, demanded: Option<&str>| {
        let mut headers = http::HeaderMap::new();
        demanded.map(|demanded| headers.insert("x-gateway-require", demanded.parse().unwrap()));
        let question = RouteQuestion {
            protocol: Protocol::OpenAiChat,
            model: None,
            headers,
            body: asked("gpt", text).to_string().into(),
            principal: principal.clone(),
            random: 0,
        };
        explain_route(&world.settings, &world.pipeline.prices(), Timestamp::default(), question).unwrap()
    };
    let names = |explained: &RouteExplanation| -> Vec<String> {
        explained
            .order
            .iter()
            .map(|planned| format!("{}{}", planned.target, if planned.is_fallback { "+" } else { "" }))
            .collect()
    };
    let easy = explained("What is the capital of Peru?", None);
    assert_eq!((easy.model.as_str(), easy.route.as_str()), ("gpt", "either"));
    assert_eq!(names(&easy).len(), 2);
    let hard = explained("Prove that e is irrational, and justify each step.", None);
    assert_eq!((hard.route.as_str(), hard.rules.len()), ("gpt", 1));
    assert_eq!(names(&hard), ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5+"]);
    let bound = explained("What is the capital of Peru?", Some("region=eu"));
    assert_eq!(names(&bound), ["anthropic/claude-haiku-4-5"]);
    let excluded: Vec<_> = bound.excluded.iter().map(|over| (&*over.target, over.reason)).collect();
    assert_eq!((excluded, bound.refused), (vec![("openai/gpt-4o-mini", "residency")], None));
    let nowhere = explained("hi", Some("region=mars"));
    assert_eq!((names(&nowhere).len(), nowhere.refused.map(|(status, _)| status)), (0, Some(403)));
    assert_eq!(sent(&world), [0, 0]);
}
