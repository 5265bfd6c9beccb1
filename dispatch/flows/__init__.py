"""One public function per verb, and the only place where a transaction begins and ends."""
