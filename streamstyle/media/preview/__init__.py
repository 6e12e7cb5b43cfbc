"""The preview: a page on this machine that shows what leaves."""
