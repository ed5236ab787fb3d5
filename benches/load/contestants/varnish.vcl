# Varnish in front of a marquee that allows it to keep answers (MARQUEE_CACHE_CONTROL=max-age=…); @…@ are filled in by peers.py.
vcl 4.1;

backend default {
    .host = "127.0.0.1";
    .port = "@origin_port@";
}
