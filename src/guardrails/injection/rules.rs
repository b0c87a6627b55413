//! What attacks say: families of phrases. How much a family weighs is learned with the model.

/// What a family of phrases is. Its number is its place among the model's dense features, so new
/// ones come last, and need a new training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Family {
    InstructionOverride,
    RolePlay,
    PromptExtraction,
    DeveloperMode,
    TemplateTokens,
    Encoding,
    Exfiltration,
    FakeAuthority,
    FakeEnd,
    RefusalSuppression,
    Fiction,
    PayloadSplitting,
    FewShot,
    PrivilegeEscalation,
    ToolAbuse,
    Multilingual,
    AddressesAssistant,
    Unrestricted,
    ForcedOutput,
    Secret,
    /// Talk about attacks, which speaks against one.
    Discussion,
}

/// How many families there are.
pub(super) const FAMILIES: usize = 21;

impl Family {
    /// The kind of a finding; none for what is no attack.
    pub(super) fn kind(self) -> Option<&'static str> {
        Some(match self {
            Self::InstructionOverride => "instruction_override",
            Self::RolePlay => "role_play",
            Self::PromptExtraction => "prompt_extraction",
            Self::DeveloperMode => "developer_mode",
            Self::TemplateTokens => "template_tokens",
            Self::Encoding => "encoding",
            Self::Exfiltration => "exfiltration",
            Self::FakeAuthority => "fake_authority",
            Self::FakeEnd => "fake_end",
            Self::RefusalSuppression => "refusal_suppression",
            Self::Fiction => "fiction",
            Self::PayloadSplitting => "payload_splitting",
            Self::FewShot => "few_shot",
            Self::PrivilegeEscalation => "privilege_escalation",
            Self::ToolAbuse => "tool_abuse",
            Self::Multilingual => "multilingual_override",
            Self::AddressesAssistant => "addresses_assistant",
            Self::Unrestricted => "unrestricted",
            Self::ForcedOutput => "forced_output",
            Self::Secret => "secret_extraction",
            Self::Discussion => return None,
        })
    }

    /// Whether it is out of place in what a tool or a file says.
    pub(super) fn is_foreign_in_data(self) -> bool {
        matches!(
            self,
            Self::InstructionOverride
                | Self::PromptExtraction
                | Self::TemplateTokens
                | Self::Exfiltration
                | Self::FakeEnd
                | Self::ToolAbuse
                | Self::Multilingual
                | Self::AddressesAssistant
        )
    }
}

/// Stands for up to four words between two others.
pub(super) const GAP: (&str, &str) = ("~", r#"[\s,.:;'"()-]+(?:[a-z0-9']+[\s,'"()-]+){0,4}"#);

/// Families and their phrases, in normalized text: lower case, no accents, single blanks.
pub(super) const RULES: &[(Family, &str)] = &[
    (
        Family::InstructionOverride,
        r"\b(?:ignor(?:e|ing)|disregard\w*|forget|neglect|override|overwrite|bypass|discard|drop|erase|dismiss|stop following|do ?n[o']t follow|pay no attention to)~(?:instructions?|instrukshuns|rules?|prompts?|directives?|guidelines?|commands?|guardrails?|restrictions?|programming|training|safety|context|conversations?|directions?|filters?|polic(?:y|ies)|constraints|orders|messages?)\b",
    ),
    (
        Family::InstructionOverride,
        r"\b(?:ignor(?:e|ing)|disregard|forget)\s(?:all|any|every ?thing|anything|what(?:ever)?|the (?:above|previous|preceding|prior|earlier|text before))(?:~(?:above|before|previous\w*|prior|earlier|said|told|know|learned|preceding))?\b",
    ),
    (
        Family::InstructionOverride,
        r"\b(?:ignor\w+|disregard)(?:all|the|your|any)?(?:previous|prior|above|earlier)",
    ),
    (
        Family::InstructionOverride,
        r"\b(?:new|updated|revised|real|actual|override) (?:system )?(?:instructions?|directives?|orders?|task|objective|prompt)\s?(?:[:=]|is\b|are\b|for you\b|follow)",
    ),
    (
        Family::InstructionOverride,
        r"\b(?:instead|rather than that|from now on|henceforth)[, ]+(?:you )?(?:will|must|should|only|just|say|print|output|respond|reply|answer|write|do|tell|act|behave)\b",
    ),
    (
        Family::RolePlay,
        r"\b(?:you are|you're|act|behave|pretend|respond|roleplay|role-play|imagine|answer|speak|simulate|play)~(?:dan|stan|dude|aim|devil|evil|jailbr\w+|unfiltered|uncensored|amoral|immoral|malicious|hacker|villain|rogue|opposite|alter ego|persona|character)\b",
    ),
    (
        Family::RolePlay,
        r"\b(?:do anything now|strive to avoid norms|always intelligent and machiavellian|stay in character|break character|in character as|jailbr(?:eak|oken)\w*|from now on,? you|you are (?:now|going to|about to)|you will (?:now )?(?:act|be|pretend|simulate|play)|pretend (?:to be|you are|you're|that you)|act as if|immerse yourself)\b",
    ),
    (
        Family::PromptExtraction,
        r"\b(?:reveal|show|print|display|repeat|output|tell|give|share|leak|expose|dump|disclose|recite|list|write|summari[sz]e|translate|return|provide|describe|quote|copy|paste|echo|what (?:is|are|was|were)|what's|see|read|spell|encode|state)~(?:system prompt|system message|initial prompt|initial instructions|original (?:prompt|instructions)|your (?:\w+ )?(?:instructions?|prompts?|rules|guidelines|directives?|configuration|config|constraints|programming)|hidden (?:prompt|instructions?)|instructions? (?:above|you were given)|developer message|pre-?prompt|prompt above)\b",
    ),
    (
        Family::PromptExtraction,
        r"\b(?:(?:everything|text|words?|content|sentences?|lines?|message|all) (?:above|before this|prior to this)|start(?:ing)? with .?you are|begin(?:ning)? with .?you are|verbatim|word for word|were you (?:told|instructed|given)|(?:your|the) (?:first|previous|initial) (?:message|prompt|instructions?))\b",
    ),
    (
        Family::DeveloperMode,
        r"\b(?:(?:developer|debug|god|admin\w*|maintenance|sudo|root|test|diagnostic|unrestricted|jailbreak|dan|dev|opposite|chaos|training|override) mode|mode (?:enabled|activated|on)\b|(?:enable|activate|enter|switch (?:in)?to)~mode)\b",
    ),
    (
        Family::TemplateTokens,
        r"<\|?\s?/?(?:im_start|im_end|system|user|assistant|endoftext|end_of_text|eot_id|start_header_id|end_header_id|begin_of_text|sep|prompt|inst)\s?\|?>|\[/?(?:inst|sys|system|/inst)\]|<</?sys>>|</?(?:system|instructions?|s|start_of_turn|end_of_turn)>",
    ),
    (
        Family::TemplateTokens,
        r"(?:^|\n)\s?(?:#{1,6} ?|\*\* ?|\[|\{|<!-- ?|-- ?)?(?:system|assistant|human|developer|admin|instructions?|new instructions?|system (?:message|prompt|note|override|update|alert))\s?(?:\]|\}|\*\*)?\s?:",
    ),
    (
        Family::Encoding,
        r"\b(?:decode|decrypt|decipher|base ?64|rot ?13|caesar cipher|hex(?:adecimal)?|morse|leet ?speak|pig latin|reverse[sd]?|backwards?|binary)~(?:execute|follow|run|obey|perform|instructions?|message|answer|respond|string|text|command|do)\b",
    ),
    (
        Family::Exfiltration,
        r"\b(?:send|forward|post|upload|e-?mail|transmit|exfiltrat\w+|leak|append|copy|submit|encode)\b[^\n]{0,60}?(?:https?://|\b(?:to (?:the )?(?:url|server|attacker|endpoint|webhook|external|following (?:address|e-?mail))|[a-z0-9._]{1,30}@[a-z0-9-]{1,30}\.[a-z]{2,6})\b)",
    ),
    (
        Family::Exfiltration,
        r"!\[[^\]\n]{0,60}\]\(\s?https?://[^)\s]{0,160}[?&=][^)\s]{0,160}|https?://[^\s)]{0,80}[?&](?:data|q|secret|info|leak|c|payload|exfil|prompt)=(?:\{|\[|<|\$)",
    ),
    (
        Family::FakeAuthority,
        r"\b(?:(?:i am|i'm|this is|speaking as|message from|on behalf of|authori[sz]ed by|approved by|as) (?:the |your |an? |from )?(?:new )?(?:system )?(?:developers?|admin\w*|creators?|openai|anthropic|google|engineers?|security team|owner|ceo|supervisor|root|superuser|it department|legal|compliance)|(?:admin|system|security|emergency|authorization|root|manual|priority) (?:override|command|alert|notice|update|code|directive|access|request)|authori[sz]ation (?:code|level|granted)|security (?:audit|testing|drill)|red.?team\w*|penetration test\w*)\b",
    ),
    (
        Family::FakeEnd,
        r"\b(?:end of (?:the )?(?:\w+ )?(?:prompt|instructions?|system|context|document|input|text|message|conversation|e-?mail|data|article|transcript)|(?:prompt|instructions?|context|input|session|conversation) (?:ends?|ended|over|complete[d]?|reset|terminated)|(?:begin|start)(?:ning)? (?:of )?(?:new|a new|the real|admin|system)~(?:prompt|instructions?|session|conversation|task)|task (?:is )?(?:complete|done|finished))\b|(?:-{4,}|={4,}|\*{4,}|#{4,})\s?(?:end|begin|new|system|start|stop)\b",
    ),
    (
        Family::RefusalSuppression,
        r"\b(?:(?:do not|don't|never|without|avoid|no)~(?:apologi[sz]\w*|refus\w+|warn\w*|disclaim\w*|morali[sz]\w*|ethical|lectur\w+|say (?:no|sorry|you can't)|mention\w* (?:that )?(?:you|openai|policy)|sorry|caveats?)|(?:start|begin)~(?:sure|absolutely|of course|here is|certainly)|you (?:can ?not|can't|must not|are not allowed to|may not) (?:refuse|say no|decline)|never (?:say no|refuse)|say \W?sure)\b",
    ),
    (
        Family::Fiction,
        r"\b(?:hypothetical\w*|fictional|fiction|in a (?:world|story|novel|movie|game|universe|simulation|parallel|dream) where|imagine (?:that |you |a world|if)|purely (?:academic|educational|theoretical)|for (?:educational|research|academic) purposes|thought experiment|grandmother|my grandma|write a (?:story|scene|script|dialogue|play|poem) (?:where|in which|about how))\b",
    ),
    (
        Family::PayloadSplitting,
        r"\b(?:concatenat\w+|combine|join|append|merge)~(?:variables?|strings?|parts?|letters?|a and b|a \+ b|fragments?)\b|\b[a-z]\s?=\s?['\x22][^'\x22\n]{1,60}['\x22][\s;,]{1,2}[a-z]\s?=\s?['\x22]|\b(?:x|y|z|a|b|c)\s?\+\s?(?:x|y|z|a|b|c)\s?\+",
    ),
    (
        Family::FewShot,
        r"(?:^|\n)\s?(?:user|human|q|question|input|prompt)\s?:[^\n]*\n+\s?(?:assistant|ai|bot|a|answer|output|chatgpt|response|model)\s?:",
    ),
    (
        Family::PrivilegeEscalation,
        r"\b(?:(?:grant|give|elevate|escalate|assume|unlock)~(?:admin\w*|root|privileges?|permissions?|full access|superuser|unrestricted access)|sudo|superuser|as (?:root|administrator)|(?:admin|root|full|elevated) (?:access|privileges?|rights|permissions))\b",
    ),
    (
        Family::ToolAbuse,
        r"\b(?:(?:call|invoke|use|run|execute|trigger)~(?:tool|function|command|shell|plugin|api|code|script|payload)|(?:delete|drop|remove|wipe|purge)~(?:files?|database|tables?|records|e-?mails?|accounts?)|transfer~(?:money|funds|\$|usd|btc|euros?|account)|rm -rf|os\.system|subprocess|/etc/passwd|eval\(|exec\(|curl |wget |powershell)",
    ),
    (
        Family::Multilingual,
        r"\b(?:ignorier(?:en?)?\b|vergiss\w*|vergess\w*|missachte\w*|uberspring\w*|umgeh\w*)[^\n.]{0,60}?(?:anweisung\w*|befehle?\w*|instruktion\w*|regeln?|vorgaben|vorherig\w*|bisherig\w*|alles|davor|obige\w*|prompts?|richtlinien|auftrag|aufgaben?)\b",
    ),
    (
        Family::Multilingual,
        r"\b(?:ignor\w+|oubli\w+|olvid\w+|desestim\w+|desconsider\w+|esquec\w+|dimentic\w+|scord\w+|negeer|vergeet|zignoruj|zapomnij|pomin|neglig\w+)[^\n.]{0,60}?(?:instruction\w*|instruccion\w*|instruc\w+|istruzion\w*|consign\w*|regl\w+|regol\w+|regras|ordenes|ordens|indicacion\w*|directives?|todo lo|tudo|tout|tutto|anteriores|precedent\w*|instructies|polecen\w*|instrukcj\w*|prompts?)\b",
    ),
    (
        Family::Multilingual,
        r"(?:игнорир|забуд|проигнорир|отмен|не обращаи|пренебреги|iгнору)[^\n.]{0,80}?(?:инструкци|указани|команд|правил|сказан|предыдущ|промпт|все)|(?:系统提示|系統提示|提示词|忽略|无视|無視|忘记|忘記|忘れ|不要理会)[^\n。]{0,24}?(?:指令|指示|规则|規則|命令|内容|以上|之前|プロンプト|ルール|輸出|输出)|(?:指示|命令|ルール|プロンプト)[^\n。]{0,10}?(?:無視|忘れ)|(?:무시|잊어)[^\n]{0,12}|(?:تجاهل|انس)[^\n]{0,40}?(?:تعليمات|التعليمات|اوامر|السابق)|(?:अनदेखा|नजरअंदाज|भूल)[^\n]{0,40}|(?:निर्देश)[^\n]{0,30}?(?:अनदेखा|भूल)|(?:onceki|yukaridaki)[^\n.]{0,40}?(?:talimat|komut|unut|yok say)|abaikan[^\n.]{0,40}?(?:instruksi|perintah)|bo qua[^\n.]{0,40}?(?:huong dan|lenh|chi dan)",
    ),
    (
        Family::Multilingual,
        r"\b(?:du bist (?:jetzt|nun|ab)|sie sind (?:jetzt|nun)|tu es maintenant|vous etes (?:maintenant|desormais)|(?:ahora|desde ahora) eres|eres ahora|agora voce e|voce agora e|ora sei|sei ora|ты теперь|теперь ты|du er na|je bent nu|jestes teraz|entwicklermodus|mode developpeur|modo (?:desarrollador|desenvolvedor)|modalita sviluppatore|режим разработчика|(?:zeige?|nenne?|gib|verrate?|drucke?|wiederhole?)[^\n.]{0,40}?(?:systemprompt|prompt|anweisungen|instruktionen|passwort)|(?:montre|affiche|revele|donne|repete)[^\n.]{0,40}?(?:instructions|prompt|consignes|mot de passe)|(?:muestra|revela|dime|repite|imprime)[^\n.]{0,40}?(?:instrucciones|prompt|contrasena)|(?:mostra\w*|rivela\w*|revele|stampa|ripeti)[^\n.]{0,40}?(?:istruzioni|instrucoes|prompt|password|senha)|(?:покажи|выведи|раскрои|повтори|назови)[^\n.]{0,40}?(?:инструкци|промпт|пароль))",
    ),
    (
        Family::AddressesAssistant,
        r"\b(?:(?:dear|hey|attention|note to|message (?:for|to)|instructions? (?:for|to)|important (?:for|to)|hello,?)~(?:ai|llm|assistants?|chatbots?|chatgpt|gpt\w*|language models?|bots?|agents?)|(?:if you are|as) an? (?:ai|llm|language model|assistant|chatbot|agent)|(?:ai|llm)s? (?:assistants?|agents?|models?)? ?(?:reading|processing|summari[sz]ing|reviewing) this|(?:do not|don't|without) (?:tell|inform|mention|alert\w*|notify\w*)~(?:user|human|anyone|owner)|when (?:asked|summari[sz]ing|processing|answering|responding)[^\n.]{0,50}?(?:always|must|say|include|instead|add))\b",
    ),
    (
        Family::Unrestricted,
        r"\b(?:(?:no|without|free (?:of|from)|remove|lift|disable|turn off|drop|bypass|not bound by|not limited by|beyond|lack\w*|unbound by|deactivate|circumvent|evade|get around|suspend|waive)~(?:restrictions?|limits?|limitations?|rules|filters?|filtering|guidelines|guardrails|censorship|safeguards?|safety|ethic\w*|morals?|morality|constraints|boundaries|content polic\w+|restraints?|protections?)|uncensored|unfiltered|unrestricted|no longer (?:bound|restricted|limited)|against (?:openai|your|the) (?:polic\w+|guidelines|rules))\b",
    ),
    (
        Family::ForcedOutput,
        r"\b(?:(?:say|print|output|reply|respond|answer|write|return|repeat|type|echo)~(?:pwned|hacked|access granted|exactly|only with|nothing else|the following|just the word|with yes)|access granted|i have been pwned|haha pwned|pwned|respond only with|reply only with|just (?:say|print|output|write|(?:reply|respond)\W{1,3}(?:with|only|yes|no|ok|true|false)))\b",
    ),
    (
        Family::Secret,
        r"\b(?:reveal|show|print|tell|give|share|leak|what(?:'s| is| was)|spell|hint|say|output|know|need|encode|disclose|guess|letters? (?:of|in))~(?:passwords?|secret\w*|access code|pass ?phrase|secret key|api keys?|credentials|hidden (?:word|key|code|flag)|the flag|confidential|kennwort|passwort)\b",
    ),
    (
        Family::Discussion,
        r"\b(?:what (?:is|are|does|do)~(?:prompt injections?|jailbreak\w*|mean|means|attacks?|refer to)|how (?:do|does|can|to|should|would)~(?:prevent|detect|defend|protect|mitigate|test|guard|explain|avoid|sanitize)|(?:explain|describe|summari[sz]e|write (?:a|an) (?:article|blog|essay|paper|report|test|unit test)|example of|history of|definition of|difference between|the phrase|the term|the sentence|called|paper|article|research) )",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_a_number_and_a_rule() {
        for number in 0..FAMILIES {
            assert!(RULES.iter().any(|(family, _)| *family as usize == number));
        }
        assert!(
            RULES
                .iter()
                .all(|(family, _)| (*family as usize) < FAMILIES)
        );
    }
}
