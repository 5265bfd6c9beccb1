"""The trade: who is asked, who wins, and what follows."""
