"""The rules of a job: its life, who is asked, what is told to whom."""
