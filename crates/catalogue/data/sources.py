"""Writes sources.tsv: what two packages and a third say of the models of the catalogue.

    python3 -m venv venv && venv/bin/pip install --no-deps PACKAGE==VERSION ...   (those of PACKAGES)
    venv/bin/python crates/catalogue/data/sources.py > crates/catalogue/data/sources.tsv

The packages are read as files and not run. `cargo test -p weighbridge-catalogue --test sources` compares the tables of
the crate with the file by the rules that the test states; it needs neither this script nor the packages.
"""

import ast
import json
import re
import sysconfig
from pathlib import Path

PACKAGES = {
    "litellm": "1.110.2",
    "genai-prices": "0.2.3",
    "langchain-openai": "1.7.4",
    "langchain-anthropic": "1.7.10",
    "langchain-google-genai": "4.4.3",
    "langchain-aws": "1.9.1",
    "langchain-mistralai": "1.1.6",
    "langchain-groq": "1.1.3",
    "langchain-xai": "1.3.0",
    "langchain-deepseek": "1.1.1",
    "langchain-fireworks": "1.7.1",
}

SITE = Path(sysconfig.get_paths()["purelib"])
HERE = Path(__file__).parent

# How litellm's keys begin, and whom they name; an empty prefix stands for a bare name.
LITELLM = {
    "openai": ([""], {"openai"}),
    "azure": (["azure/", "azure/eu/"], {"azure"}),
    "anthropic": ([""], {"anthropic"}),
    "gemini": (["gemini/"], {"gemini"}),
    "vertex": (["vertex_ai/", ""], None),
    "bedrock": ([""], {"bedrock", "bedrock_converse"}),
    "mistral": (["mistral/"], {"mistral"}),
    "deepseek": (["deepseek/"], {"deepseek"}),
    "xai": (["xai/"], {"xai"}),
    "cohere": (["", "cohere/"], {"cohere", "cohere_chat"}),
    "qwen": (["dashscope/", "qwencloud/"], {"dashscope", "qwencloud", "qwen_ai_platform"}),
    "moonshot": (["moonshot/"], {"moonshot"}),
    "zhipu": (["zai/"], {"zai"}),
    "groq": (["groq/"], {"groq"}),
    "together": (["together_ai/"], {"together_ai"}),
    "fireworks": (["fireworks_ai/"], {"fireworks_ai"}),
}

# The providers of whose models LangChain ships profiles.
LANGCHAIN = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google_genai",
    "bedrock": "aws",
    "mistral": "mistralai",
    "groq": "groq",
    "xai": "xai",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
}

GENAI = {
    "openai": "openai",
    "azure": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "vertex": "google",
    "bedrock": "aws",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "cohere": "cohere",
    "moonshot": "moonshotai",
    "zhipu": "zai",
    "groq": "groq",
    "together": "together",
    "fireworks": "fireworks",
}

# Letters of the tables, and what each package calls the same.
LITELLM_FLAGS = {
    "T": ["supports_function_calling"],
    "I": ["supports_vision", "supports_image_input"],
    "A": ["supports_audio_input"],
    "D": ["supports_pdf_input"],
    "S": ["supports_response_schema", "supports_native_structured_output"],
}
LANGCHAIN_FLAGS = {
    "T": "tool_calling",
    "I": "image_inputs",
    "A": "audio_inputs",
    "D": "pdf_inputs",
    "S": "structured_output",
}

ROW = re.compile(r'\b(?!row\b)([a-z]\w*)\("([^"]+)", [0-9_]+, [0-9_]+\)')


def catalogue() -> list[tuple[str, str]]:
    """The models of the crate, as provider and name."""
    files = [HERE.parent / "src/limits.rs", *sorted((HERE.parent / "src/limits").glob("*.rs"))]
    return [found for file in files for found in ROW.findall(file.read_text())]


def letters(said: dict[str, bool]) -> str:
    """`+TI-A`: what is said to be there, and what is said not to be."""
    has = "".join(letter for letter in "TIADS" if said.get(letter) is True)
    lacks = "".join(letter for letter in "TIADS" if said.get(letter) is False)
    return (f"+{has}" if has else "") + (f"-{lacks}" if lacks else "") or "."


class Litellm:
    def __init__(self) -> None:
        path = SITE / "litellm/model_prices_and_context_window_backup.json"
        self.models = json.loads(path.read_text())

    def entry(self, provider: str, model: str) -> dict:
        prefixes, owners = LITELLM[provider]
        for prefix in prefixes:
            entry = self.models.get(prefix + model, {})
            if entry and (owners is None or entry.get("litellm_provider") in owners):
                return entry
        return {}

    def features(self, entry: dict) -> str:
        said: dict[str, bool] = {}
        for letter, names in LITELLM_FLAGS.items():
            values = [entry[name] for name in names if entry.get(name) is not None]
            if values:
                said[letter] = any(values)
        # A list of what goes in is whole, and says of the rest that it does not.
        for letter, kind in (("I", "image"), ("A", "audio")):
            if entry.get("supported_modalities"):
                said[letter] = kind in entry["supported_modalities"] or said.get(letter, False)
        return letters(said)


def profiles() -> dict[str, dict]:
    """LangChain's profiles by provider: a literal in a module of each package."""
    found = {}
    for provider, package in LANGCHAIN.items():
        tree = ast.parse((SITE / f"langchain_{package}/data/_profiles.py").read_text())
        literals = [node.value for node in tree.body if isinstance(node, ast.AnnAssign)]
        found[provider] = ast.literal_eval(literals[0])
    return found


def windows() -> dict[str, list[tuple[ast.expr, int]]]:
    """The context windows of genai-prices by provider, each with the clause that says for which names."""
    tree = ast.parse((SITE / "genai_prices/data.py").read_text())
    found: dict[str, list[tuple[ast.expr, int]]] = {}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Provider"):
            continue
        given = {word.arg: word.value for word in node.keywords}
        for model in getattr(given.get("models"), "elts", []):
            said = {word.arg: word.value for word in model.keywords}
            if isinstance(said.get("context_window"), ast.Constant):
                found.setdefault(given["id"].value, []).append((said["match"], said["context_window"].value))
    return found


def matches(clause: ast.Call, name: str) -> bool:
    """What the package's clauses do, read off their text."""
    kind = clause.func.id
    value = clause.keywords[0].value if clause.keywords else clause.args[0]
    if kind in ("ClauseOr", "ClauseAnd"):
        results = [matches(part, name) for part in value.elts]
        return any(results) if kind == "ClauseOr" else all(results)
    if kind == "ClauseNot":
        return not matches(value, name)
    text = value.value
    return {
        "ClauseEquals": lambda: name == text,
        "ClauseStartsWith": lambda: name.startswith(text),
        "ClauseEndsWith": lambda: name.endswith(text),
        "ClauseContains": lambda: text in name,
        "ClauseRegex": lambda: re.search(text, name) is not None,
    }[kind]()


def main() -> None:
    litellm, langchain, genai = Litellm(), profiles(), windows()
    versions = ", ".join(f"{name} {version}" for name, version in PACKAGES.items())
    print(f"# Written by sources.py of {versions}; read on 2026-11-27. A dot: the package does not say.")
    print("# provider model | litellm: window output features retires | genai: window | langchain: window output features")
    for provider, model in catalogue():
        entry = litellm.entry(provider, model)
        profile = langchain.get(provider, {}).get(model, {})
        clauses = genai.get(GENAI.get(provider, ""), [])
        window = next((window for clause, window in clauses if matches(clause, model.lower())), None)
        flags = {
            letter: profile[name] for letter, name in LANGCHAIN_FLAGS.items() if isinstance(profile.get(name), bool)
        }
        columns = [
            provider,
            model,
            entry.get("max_input_tokens"),
            entry.get("max_output_tokens"),
            litellm.features(entry),
            (entry.get("deprecation_date") or "").replace("-", "") or None,
            window,
            profile.get("max_input_tokens"),
            profile.get("max_output_tokens"),
            letters(flags),
        ]
        print("\t".join(str(column) if column else "." for column in columns))


if __name__ == "__main__":
    main()
