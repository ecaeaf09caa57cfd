"""The taps and targets that come with singerkit, written as any author would write them."""
