"""What became of messages: results, states, receipts, unknown outcomes, what people have sent again."""
