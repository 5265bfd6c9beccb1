"""Pure rules: from facts, arguments and a moment to changes or a refusal."""
