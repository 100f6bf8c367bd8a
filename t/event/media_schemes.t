# jelou_media_schemes: which URLs are taken, of both kinds.

use strict;
use warnings;

use lib 't/lib';
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use Jelou 'no_plan';
use Jelou::Cases (
    endpoint => 'incoming_message',
    location => 'location = /webhook',
    path     => '/webhook',
    secret   => 1,
);

our $https = 'must be an https URL';

sub media {
    return event(type => '"audio"', content =>
                 qq({"url":"$_[0]","mime_type":"a/b"}));
}

sub taken { return map { accepted(media($_), media($_), 'accepted m-1') } @_ }

sub wrong {
    my $text = shift;
    return map { invalid(media($_), ['/value/content/url' => $text]) } @_;
}

our $uuid = '00000001-0000-4000-8000-000000000001';

sub room {
    return '{"senderId":"s","messages":[{"id":"' . $uuid . '","type":"IMAGE",'
           . qq("mediaUrl":"$_[0]"}]});
}

our @room = (path => '/rooms/r/message', signature => undef);

sub room_event {
    return '{"field":"messages","object":"message_event","event_type":'
           . '"room_message","room_id":"r","sender_id":"s","values":[{"id":"'
           . qq($uuid","type":"image","content":{"url":"$_[0]"}}]});
}

run_tests();

__DATA__

=== https alone by default
--- cases eval
[taken('https://h/a', 'HTTPS://h'), wrong($https, 'http://h/a', 'ftp://h')]


=== others too
--- directives
    jelou_media_schemes  https HTTP s3 x-a+b.c;
--- cases eval
[
    taken('https://h/a', 'http://h/a', 'hTTp://h', 's3://bucket/key',
          'X-A+B.C://h', 'http://[::1]:80/'),
    wrong('must be a URL of: https, HTTP, s3, x-a+b.c', 'ftp://h/a', 's3://',
          's3:/bucket', 's3:bucket', 'http:///a', 'http://h:x', 's3://a b/',
          'httpss://h', 'x-a+b://h', 'javascript:alert(1)'),
]


=== one that is not https
--- directives
    jelou_media_schemes  ftp;
--- cases eval
[taken('ftp://h/a'), wrong('must be a URL of: ftp', 'https://h/a', 'ftps://h')]


=== of mediaUrl, too: narrower than the default
--- config
location / {
    jelou_endpoint       room_message;
    jelou_media_schemes  https;
    proxy_pass           http://app;
}
--- cases eval
[
    accepted(room('https://h/a'), room_event('https://h/a'),
             "accepted-list $uuid", @room),
    invalid(room('http://h/a'),
            ['/messages/0/mediaUrl' => 'must be a URL of: https'], @room),
]


=== inherited, and replaced
--- http_config
    jelou_media_schemes  http;
    jelou_secret         "$TEST_NGINX_SECRET";
--- config
    location = /webhook { jelou_endpoint incoming_message; proxy_pass http://app; }

    location = /other {
        jelou_endpoint       incoming_message;
        jelou_media_schemes  https;
        proxy_pass           http://app;
    }
--- cases eval
[
    taken('http://h/'), wrong('must be a URL of: http', 'https://h/'),
    accepted(media('https://h/'), media('https://h/'), 'accepted m-1',
             path => '/other'),
    invalid(media('http://h/'),
            ['/value/content/url' => 'must be a URL of: https'],
            path => '/other'),
]


=== no scheme: it begins with a letter
--- directives
    jelou_media_schemes  https 1http;
--- must_die
--- error_log
[emerg]
invalid scheme "1http" in "jelou_media_schemes" directive


=== no scheme: its colon
--- directives
    jelou_media_schemes  https:;
--- must_die
--- error_log
[emerg]
invalid scheme "https:" in "jelou_media_schemes" directive


=== no scheme: nothing
--- directives
    jelou_media_schemes  '';
--- must_die
--- error_log
[emerg]
invalid scheme "" in "jelou_media_schemes" directive


=== a duplicate
--- directives
    jelou_media_schemes  https;
    jelou_media_schemes  https;
--- must_die
--- error_log
[emerg]
"jelou_media_schemes" directive is duplicate
