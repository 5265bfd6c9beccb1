"""Pure rules: facts, arguments and a moment in, changes or a refusal out."""
