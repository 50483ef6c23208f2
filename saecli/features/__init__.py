"""What is known of single features: where they fire, what they write, what resembles them, what others say."""
