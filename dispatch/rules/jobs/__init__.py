"""The rules of a job: its states, who is asked, who is notified, and who may see what."""
