//! Tells a model of tools in the way it was taught, or in ours.

use serde_json::{Value, json};

use crate::calls::Style;
use crate::engine::{Message, Role, Tool};

/// How a model writes its calls, as its chat template shows. Models whose template knows no tools are
/// told of [`Style::Tagged`].
pub fn style_of(template: &str) -> Style {
    if !knows_tools(template) || template.contains("<tool_call>") {
        Style::Tagged
    } else if template.contains("[TOOL_CALLS]") {
        Style::List
    } else if template.contains("<|python_tag|>") || template.contains("\"parameters\"") {
        Style::Plain
    } else {
        Style::Tagged
    }
}

/// Whether a chat template writes tools into the prompt itself.
pub fn knows_tools(template: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    template.match_indices("tools").any(|(at, word)| {
        let before = template.get(..at).and_then(|text| text.chars().next_back());
        let after = template.get(at + word.len()..);
        let after = after.and_then(|text| text.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// A tool in the words of the API, which are those that templates expect.
pub fn described(tool: &Tool) -> Value {
    let mut function = json!({"name": tool.name});
    if let Some(description) = &tool.description {
        function["description"] = json!(description);
    }
    function["parameters"] = tool.parameters.clone();
    json!({"type": "function", "function": function})
}

/// The conversation for a template that knows no tools: they are described in the instructions,
/// and calls and results are text.
pub fn spelled_out(messages: &[Message], tools: &[Tool]) -> Vec<Message> {
    let mut told = Vec::with_capacity(messages.len() + 1);
    for message in messages {
        let mut message = message.clone();
        for call in std::mem::take(&mut message.tool_calls) {
            if !message.content.is_empty() {
                message.content.push('\n');
            }
            let name = Value::from(call.name);
            let arguments = call.arguments;
            message.content.push_str(&format!(
                "<tool_call>\n{{\"name\": {name}, \"arguments\": {arguments}}}\n</tool_call>"
            ));
        }
        if message.role == Role::Tool {
            message.role = Role::User;
            message.content = format!("<tool_response>\n{}\n</tool_response>", message.content);
            // Several results are one turn.
            if let Some(Message {
                role: Role::User,
                content,
                ..
            }) = told.last_mut()
                && content.starts_with("<tool_response>")
            {
                content.push('\n');
                content.push_str(&message.content);
                continue;
            }
        }
        told.push(message);
    }
    if !tools.is_empty() {
        let block = block(tools);
        match told.first_mut() {
            Some(first) if first.role == Role::System => {
                first.content.push_str("\n\n");
                first.content.push_str(&block);
            }
            _ => told.insert(0, Message::new(Role::System, block)),
        }
    }
    told
}

fn block(tools: &[Tool]) -> String {
    let mut block = String::from(
        "You can call these functions. Each line describes one, its parameters as a JSON Schema:\n\
         <tools>\n",
    );
    for tool in tools {
        block.push_str(&described(tool).to_string());
        block.push('\n');
    }
    block.push_str(
        "</tools>\n\
         To call one, write nothing but its name and arguments as JSON between tags, like this:\n\
         <tool_call>\n{\"name\": \"function_name\", \"arguments\": {\"parameter\": \"value\"}}\n\
         </tool_call>\n\
         Results come back between <tool_response> tags. If no function helps, answer in words.",
    );
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ToolCall;

    #[test]
    fn a_template_knows_tools_if_it_has_the_word() {
        assert!(knows_tools("{% if tools %}x{% endif %}"));
        assert!(!knows_tools("{{ message.tool_calls }} mytools tools_x"));
        assert_eq!(
            style_of("{% if tools %}[TOOL_CALLS]{% endif %}"),
            Style::List
        );
        assert_eq!(style_of("[TOOL_CALLS]"), Style::Tagged);
    }

    #[test]
    fn calls_and_results_become_text() {
        let mut asks = Message::new(Role::Assistant, "");
        asks.tool_calls.push(ToolCall {
            id: "1".into(),
            name: "add".into(),
            arguments: "{\"a\": 1}".into(),
        });
        let tool = Tool {
            name: "add".into(),
            description: None,
            parameters: json!({"type": "object"}),
        };
        let messages = [
            Message::new(Role::User, "1+1"),
            asks,
            Message::new(Role::Tool, "2"),
            Message::new(Role::Tool, "3"),
        ];
        let told = spelled_out(&messages, &[tool]);
        let roles: Vec<Role> = told.iter().map(|message| message.role).collect();
        assert_eq!(
            roles,
            [Role::System, Role::User, Role::Assistant, Role::User]
        );
        assert!(told[0].content.contains("\"add\""));
        let call = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>";
        assert_eq!(told[2].content, call);
        let results = "<tool_response>\n2\n</tool_response>\n<tool_response>\n3\n</tool_response>";
        assert_eq!(told[3].content, results);
    }
}
