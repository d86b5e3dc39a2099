//! Each oddity of the protocol that is not about streams, by name.

use serde_json::json;
use weighbridge_translate::{
    AnswerFacts, FinishReason, TranslateError, answer_facts, decode_error, encode_error, response,
};
use weighbridge_units::{Bucket, ErrorClass};

use crate::support::*;

fn facts(body: &str) -> AnswerFacts {
    answer_facts(RESPONSES, body).unwrap_or_else(|error| panic!("{error}"))
}

const CALL: &str = r#"{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{\"x\":48151","status":"incomplete"}"#;

#[test]
fn an_answer_that_calls_tools_says_completed() {
    assert_eq!(facts(&answer_of(CALL)).finish, Some(FinishReason::ToolCalls));
    assert_eq!(facts(&answer_of("")).finish, Some(FinishReason::Stop));
    let hosted = r#"{"type":"web_search_call","id":"ws_1","status":"completed"}"#;
    assert_eq!(facts(&answer_of(hosted)).finish, Some(FinishReason::Stop));
}

#[test]
fn a_cut_answer_may_hold_half_a_call_or_nothing() {
    for items in ["", CALL] {
        let cut = answer_of(items)
            .replace(r#""status":"completed","background""#, r#""status":"incomplete","background""#)
            .replace(
                r#""incomplete_details":null"#,
                r#""incomplete_details":{"reason":"max_output_tokens"}"#,
            );
        assert_eq!(facts(&cut).finish, Some(FinishReason::Length));
        let (chat, _) = answer_json(RESPONSES, CHAT, &cut);
        assert_eq!(chat["choices"][0]["finish_reason"], "length");
        let arguments = &chat["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"];
        assert_eq!(arguments, &if items.is_empty() { json!(null) } else { json!("{\"x\":48151") });
    }
}

#[test]
fn unknown_statuses_and_reasons_are_kept() {
    let with = |status: &str, details: &str| {
        let body = answer_of("")
            .replace(r#""status":"completed","background""#, &format!(r#""status":"{status}","background""#));
        facts(&body.replace(r#""incomplete_details":null"#, &format!(r#""incomplete_details":{details}"#)))
            .finish
    };
    assert_eq!(with("incomplete", r#"{"reason":"steered"}"#), Some(FinishReason::Other("steered".into())));
    assert_eq!(with("incomplete", r#"{"reason":"content_filter"}"#), Some(FinishReason::ContentFilter));
    assert_eq!(with("incomplete", "null"), Some(FinishReason::Other("incomplete".into())));
    assert_eq!(with("paused_by_moon", "null"), Some(FinishReason::Other("paused_by_moon".into())));
    assert_eq!(with("queued", "null"), None);
}

#[test]
fn cached_and_reasoning_tokens_are_inside_their_wholes() {
    let usage = facts(&answer_of("")).usage.unwrap();
    let told: Vec<u64> =
        [Bucket::Input, Bucket::CacheRead, Bucket::CacheWrite5m, Bucket::Output, Bucket::Reasoning]
            .map(|bucket| usage.get(bucket))
            .to_vec();
    assert_eq!(told, [30, 60, 10, 30, 20]);
    assert_eq!(usage.total(), 150);
}

#[test]
fn searches_are_counted_beside_the_usage() {
    let body = answer_of("").replace(r#""num_requests":0"#, r#""num_requests":2"#);
    assert_eq!(facts(&body).usage.unwrap().get(Bucket::WebSearch), 2);
    let (anthropic, _) = answer_json(RESPONSES, ANTHROPIC, &body);
    assert_eq!(anthropic["usage"]["server_tool_use"]["web_search_requests"], 2);
    let (back, losses) = answer_json(ANTHROPIC, RESPONSES, &anthropic.to_string());
    assert_eq!(back["tool_usage"]["web_search"]["num_requests"], 2);
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn an_unknown_model_is_400_here_and_404_elsewhere() {
    let body = br#"{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#;
    let error = decode_error(RESPONSES, 400, body);
    assert_eq!((error.class, error.status), (ErrorClass::NotFound, 400));
    assert_eq!(encode_error(RESPONSES, &error, "r").0, 400);
    assert_eq!(encode_error(CHAT, &error, "r").0, 404);
    assert_eq!(encode_error(ANTHROPIC, &error, "r").0, 404);
    let error = decode_error(CHAT, 404, body);
    assert_eq!(encode_error(RESPONSES, &error, "r").0, 404);
    let gone = br#"{"error":{"code":"previous_response_not_found","message":"gone","param":"previous_response_id","type":"invalid_request_error"}}"#;
    assert_eq!(decode_error(RESPONSES, 400, gone).class, ErrorClass::NotFound);
}

#[test]
fn an_answer_that_failed_is_an_error_whatever_its_status() {
    let failed = |code: &str| {
        let body = answer_of("")
            .replace(r#""status":"completed","background""#, r#""status":"failed","background""#)
            .replace(r#""error":null"#, &format!(r#""error":{{"code":"{code}","message":"no"}}"#));
        match response(RESPONSES, CHAT, &body, &ANSWER) {
            Err(TranslateError::InBandError(error)) => (error.class, error.status),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(failed("server_error"), (ErrorClass::Server, 500));
    assert_eq!(failed("rate_limit_exceeded"), (ErrorClass::RateLimit, 429));
    assert_eq!(failed("invalid_prompt"), (ErrorClass::ContentPolicy, 400));
    assert_eq!(failed("vector_store_timeout"), (ErrorClass::Timeout, 504));
    assert_eq!(failed("new_reason"), (ErrorClass::Server, 500));
}

#[test]
fn codes_of_errors_may_be_numbers_and_details_may_be_all_there_is() {
    let error = decode_error(RESPONSES, 429, br#"{"error":{"code":429,"message":"slow down"}}"#);
    assert_eq!((error.class, error.code.as_deref()), (ErrorClass::RateLimit, Some("429")));
    let error = decode_error(RESPONSES, 400, br#"{"detail":"Unsupported parameter: max_output_tokens"}"#);
    assert_eq!(
        (error.class, error.message.as_str()),
        (ErrorClass::BadRequest, "Unsupported parameter: max_output_tokens")
    );
    let error =
        decode_error(RESPONSES, 429, br#"{"error":{"code":"insufficient_quota","message":"no credit"}}"#);
    assert_eq!(error.class, ErrorClass::Billing);
}

#[test]
fn a_call_has_two_ids_and_the_one_that_ties_it_is_not_the_items() {
    let (chat, _) = answer_json(RESPONSES, CHAT, &answer_of(CALL));
    assert_eq!(chat["choices"][0]["message"]["tool_calls"][0]["id"], "call_1");
    let (back, _) = answer_json(CHAT, RESPONSES, &chat.to_string());
    assert_eq!(
        (&back["output"][0]["call_id"], &back["output"][0]["id"]),
        (&json!("call_1"), &json!("fc_1_0"))
    );
}

#[test]
fn ids_of_other_alphabets_survive_the_way_through_anthropic() {
    let odd = CALL.replace("call_1", "functions.name:0");
    let (anthropic, _) = answer_json(RESPONSES, ANTHROPIC, &answer_of(&odd));
    assert_eq!(anthropic["content"][0]["id"], "wb-functions_2ename_3a0");
    let (back, _) = answer_json(ANTHROPIC, RESPONSES, &anthropic.to_string());
    assert_eq!(back["output"][0]["call_id"], "functions.name:0");
}

#[test]
fn a_call_without_an_id_gets_one_and_its_result_the_same() {
    let request = r#"{"model":"m","messages":[
        {"role":"assistant","tool_calls":[
            {"id":"","type":"function","function":{"name":"f","arguments":"{}"}},
            {"id":"","type":"function","function":{"name":"g","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"","content":"1"},{"role":"tool","tool_call_id":"","content":"2"}]}"#;
    let (sent, _) = request_json(CHAT, RESPONSES, request);
    let ids: Vec<_> = sent["input"].as_array().unwrap().iter().map(|item| item["call_id"].clone()).collect();
    assert_eq!(ids, ["call_f_0", "call_g_1", "call_f_0", "call_g_1"]);
}

#[test]
fn tools_of_the_provider_are_never_calls_of_the_clients() {
    let items = r#"
        {"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"q"}},
        {"type":"code_interpreter_call","id":"ci_1","code":"1","container_id":"c","outputs":null,"status":"completed"},
        {"type":"mcp_call","id":"mcp_1","name":"f","arguments":"{}","server_label":"s"},
        {"type":"local_shell_call","id":"lsh_1","call_id":"call_1","action":{"type":"exec","command":["ls"]},"status":"completed"},
        {"type":"tool_search_output","id":"ts_1","tools":[]},
        {"type":"brand_new_call","id":"x_1","name":"f","arguments":"{}","call_id":"call_2"}"#;
    for client in [CHAT, ANTHROPIC] {
        let (answer, losses) = answer_json(RESPONSES, client, &answer_of(items));
        assert!(
            !answer.to_string().contains("tool_calls") && !answer.to_string().contains("\"tool_use\""),
            "{answer}"
        );
        let lost: Vec<String> = (0..6).map(|place| format!("/output/{place}")).collect();
        let reported = pointers(&losses);
        assert!(lost.iter().all(|pointer| reported.contains(&pointer.as_str())), "{losses:?}");
    }
}

#[test]
fn reasoning_keeps_its_id_its_place_and_an_empty_summary() {
    let items = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"},
        {"type":"function_call","call_id":"call_1","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"call_1","output":"1"}"#;
    let (sent, losses) = request_json(RESPONSES, RESPONSES, &format!(r#"{{"model":"m","input":[{items}]}}"#));
    assert_eq!(
        sent["input"][0],
        json!({"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"})
    );
    assert_eq!(sent["input"][1]["type"], "function_call");
    assert!(losses.is_empty());
}

#[test]
fn reasoning_of_another_provider_comes_back_through_encrypted_content() {
    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[
        {"type":"thinking","thinking":"Hm.","signature":"c2ln"},
        {"type":"tool_use","id":"toolu_1","name":"f","input":{}}],
        "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;
    let (shown, _) = answer_json(ANTHROPIC, RESPONSES, answer);
    let next = json!({"model": "m", "input": [
        {"role": "user", "content": "Go"}, shown["output"][0], shown["output"][1],
        {"type": "function_call_output", "call_id": "toolu_1", "output": "1"},
    ]});
    let (sent, _) = request_json(RESPONSES, ANTHROPIC, &next.to_string());
    assert_eq!(
        sent["messages"][1]["content"],
        json!([
            {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
        ])
    );
}

#[test]
fn results_of_tools_are_texts_or_lists() {
    let request = |output: &str| {
        format!(
            r#"{{"model":"m","input":[{{"type":"function_call_output","call_id":"a","output":{output}}}]}}"#
        )
    };
    let sent = |output: &str| {
        request_json(RESPONSES, ANTHROPIC, &request(output)).0["messages"][0]["content"].clone()
    };
    assert_eq!(sent("\"1\"")[0]["content"], "1");
    assert_eq!(
        sent(
            r#"[{"type":"input_text","text":"1"},{"type":"input_image","image_url":"https://example.com/a.png"}]"#
        )[0]["content"][1]["type"],
        "image"
    );
    assert_eq!(sent("\"\"")[0].get("content"), None);
}

#[test]
fn several_texts_of_one_turn_stay_apart_and_in_their_order() {
    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[
        {"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"tool_use","id":"t","name":"f","input":{}},{"type":"text","text":"c"}],
        "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;
    let (shown, losses) = answer_json(ANTHROPIC, RESPONSES, answer);
    let kinds: Vec<_> = shown["output"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    assert_eq!(kinds, ["message", "function_call", "message"]);
    assert_eq!(shown["output"][0]["content"].as_array().unwrap().len(), 2);
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn two_messages_of_one_answer_keep_their_phases() {
    let items = r#"
        {"type":"message","id":"msg_1","role":"assistant","status":"completed","phase":"commentary","content":[{"type":"output_text","text":"a","annotations":[]}]},
        {"type":"message","id":"msg_2","role":"assistant","status":"completed","phase":"final_answer","content":[{"type":"output_text","text":"b","annotations":[]}]}"#;
    let (back, _) = answer_json(RESPONSES, RESPONSES, &answer_of(items));
    assert_eq!(
        (&back["output"][0]["phase"], &back["output"][1]["phase"]),
        (&json!("commentary"), &json!("final_answer"))
    );
    let (_, losses) = answer_json(RESPONSES, CHAT, &answer_of(items));
    let reported = pointers(&losses);
    assert!(reported.contains(&"/output/0/phase") && reported.contains(&"/output/1/phase"), "{losses:?}");
}

#[test]
fn a_part_of_no_known_type_stays_in_its_message() {
    let part = json!({"type": "output_hologram", "id": "h", "shape": "sphere"});
    let text = json!({"type": "output_text", "text": "Look", "annotations": []});
    let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed"});
    for content in [json!([part]), json!([part, text]), json!([text, part])] {
        let message = json!({"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content});
        let (back, losses) =
            answer_json(RESPONSES, RESPONSES, &answer_of(&format!("{search}, {message}, {search}")));
        assert_eq!((back["output"].as_array().unwrap().len(), &back["output"][0]), (3, &search));
        let kinds = |content: &serde_json::Value| -> Vec<String> {
            content.as_array().unwrap().iter().map(|part| part["type"].to_string()).collect()
        };
        assert_eq!(kinds(&back["output"][1]["content"]), kinds(&content));
        assert!(losses.is_empty(), "{losses:?}");

        let asked = json!({"model": "m", "input": [message]}).to_string();
        let (sent, losses) = request_json(RESPONSES, RESPONSES, &asked);
        assert_eq!((&sent["input"], losses.len()), (&json!([message]), 0));

        let (_, losses) = answer_json(RESPONSES, CHAT, &answer_of(&message.to_string()));
        let place = content.as_array().unwrap().iter().position(|one| *one == part).unwrap();
        let pointer = format!("/output/0/content/{place}");
        assert_eq!(losses.iter().filter(|loss| loss.pointer == pointer).count(), 1, "{losses:?}");
    }
}

#[test]
fn refusals_are_parts_of_messages() {
    let items = r#"{"type":"message","id":"m","role":"assistant","status":"completed","content":[{"type":"refusal","refusal":"No."}]}"#;
    let (chat, _) = answer_json(RESPONSES, CHAT, &answer_of(items));
    assert_eq!(
        (&chat["choices"][0]["message"]["refusal"], &chat["choices"][0]["finish_reason"]),
        (&json!("No."), &json!("stop"))
    );
    let (back, _) = answer_json(CHAT, RESPONSES, &chat.to_string());
    assert_eq!(back["output"][0]["content"][0], json!({"type": "refusal", "refusal": "No."}));
    assert_eq!(back["status"], "completed");
}

#[test]
fn instructions_may_stand_anywhere() {
    let request = r#"{"model":"m","instructions":"A","input":[{"role":"developer","content":"B"},{"role":"user","content":"C"},{"role":"system","content":"D"}]}"#;
    let (chat, losses) = request_json(RESPONSES, CHAT, request);
    let roles: Vec<_> =
        chat["messages"].as_array().unwrap().iter().map(|message| message["role"].clone()).collect();
    assert_eq!(roles, ["system", "developer", "user", "system"]);
    assert!(losses.is_empty());
}

#[test]
fn a_function_is_strict_here_unless_it_says_no() {
    let request = |strict: &str| {
        format!(
            r#"{{"model":"m","messages":[],"tools":[{{"type":"function","function":{{"name":"f"{strict}}}}}]}}"#
        )
    };
    let strict =
        |strict: &str| request_json(CHAT, RESPONSES, &request(strict)).0["tools"][0]["strict"].clone();
    assert_eq!((strict(""), strict(r#","strict":true"#)), (json!(false), json!(true)));
    // Nobody else guesses whether a schema allows it.
    let own =
        r#"{"model":"m","input":[],"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]}"#;
    let (chat, _) = request_json(RESPONSES, CHAT, own);
    assert_eq!(chat["tools"][0]["function"].get("strict"), None);
}

#[test]
fn others_do_not_keep_answers_unless_asked() {
    assert_eq!(request_json(CHAT, RESPONSES, r#"{"model":"m","messages":[]}"#).0["store"], false);
    assert_eq!(
        request_json(ANTHROPIC, RESPONSES, r#"{"model":"m","max_tokens":99,"messages":[]}"#).0["store"],
        false
    );
    assert_eq!(request_json(RESPONSES, RESPONSES, r#"{"model":"m","input":[]}"#).0.get("store"), None);
}

#[test]
fn media_are_addresses_bytes_and_files() {
    let request = r#"{"model":"m","input":[{"role":"user","content":[
        {"type":"input_image","image_url":"data:image/png;base64,aGk=","detail":"auto"},
        {"type":"input_image","image_url":"https://example.com/a.png","detail":"auto"},
        {"type":"input_image","file_id":"file-1","detail":"auto"}]}]}"#;
    let (anthropic, losses) = request_json(RESPONSES, ANTHROPIC, request);
    assert_eq!(anthropic["messages"][0]["content"].as_array().unwrap().len(), 2);
    assert!(pointers(&losses).contains(&"/input/0/content/2"), "{losses:?}");
}

#[test]
fn times_may_have_fractions() {
    let body = answer_of("").replace("\"created_at\":1700000001", "\"created_at\":1787150055.5");
    assert_eq!(answer_json(RESPONSES, CHAT, &body).0["created"], 1_787_150_055);
}

#[test]
fn an_item_that_is_not_what_it_says_spoils_no_answer() {
    let items = r#"7, {"type":"function_call","arguments":"{}"}, {"type":"message","content":3}, {"type":"reasoning","summary":[1]},
        {"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi"}]}"#;
    let (chat, losses) = answer_json(RESPONSES, CHAT, &answer_of(items));
    assert_eq!(chat["choices"][0]["message"]["content"], "Hi");
    assert_eq!(chat["choices"][0]["finish_reason"], "stop");
    let lost: Vec<String> = (0..4).map(|place| format!("/output/{place}")).collect();
    assert!(lost.iter().all(|pointer| pointers(&losses).contains(&pointer.as_str())), "{losses:?}");
}
