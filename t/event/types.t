# jelou_types: which message types an endpoint takes.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.0001 }

use Jelou 'no_plan';

our @types = qw(text image video audio document);


# typed(TYPE, MEMBER => VALUE, ...): a message of that type

sub typed {
    my ($type, @more) = @_;

    my $content = $type eq 'text'
        ? '{"body":"Hello"}'
        : '{"url":"https://media.test/1","mime_type":"a/b"}';

    return event(type => qq("$type"), content => $content, @more);
}


# Section of a block: "allowed", the types that are; messages of all types are
# sent on one connection, to the "path" if there is one.

check_accum_error_log();

add_block_preprocessor(sub {
    my $block = shift;

    my @allowed = split ' ', $block->allowed // return;
    my $path    = ($block->path // $Jelou::Path) =~ s/\s//gr;

    my %is = map { $_ => 1 } @allowed;

    my %section = (
        requests => [map {
            post(typed($_), path => $path, keepalive => $_ ne $types[-1])
        } @types],

        reply => join("\n", map {
            $is{$_} ? 'accepted m-1' : '422 TYPE_NOT_ALLOWED'
        } @types),

        upstream       => [map { $is{$_} ? typed($_) : () } @types],
        grep_error_log => qr/jelou.*?(?=, client)/,

        grep_error_log_out => join('', map {
            $is{$_} ? () : "jelou refused a request: TYPE_NOT_ALLOWED\n"
        } @types),

        no_error_log => qr/\[(?!info\])\w+\].*jelou/,
    );

    $block->set_value($_ => $section{$_}) for keys %section;
});


# location(PATH, DIRECTIVES)

sub location {
    my ($path, @directives) = @_;

    return <<"END";
location $path {
    jelou_endpoint  incoming_message;
    jelou_secret    \$TEST_NGINX_SECRET;
    proxy_pass      http://app;
    @directives
}
END
}

run_tests();

__DATA__

=== not set: all
--- allowed
text image video audio document


=== text
--- directives
jelou_types  text;
--- allowed
text


=== image
--- directives
jelou_types  image;
--- allowed
image


=== video
--- directives
jelou_types  video;
--- allowed
video


=== audio
--- directives
jelou_types  audio;
--- allowed
audio


=== document
--- directives
jelou_types  document;
--- allowed
document


=== several
--- directives
jelou_types  document text  audio;
--- allowed
text audio document


=== one that is named twice
--- directives
jelou_types  image video image;
--- allowed
image video


=== all
--- directives
jelou_types  audio video image text document;
--- allowed
text image video audio document


=== from http
--- http_config
jelou_types  text image;
--- allowed
text image


=== from server
--- config eval
"jelou_types  video;\n" . location('/')
--- allowed
video


=== from server, not http
--- http_config
jelou_types  text;
--- config eval
"jelou_types  video audio;\n" . location('/')
--- allowed
video audio


=== from the location, not server and http: nothing is added up
--- http_config
jelou_types  text;
--- config eval
"jelou_types  image;\n" . location('/', 'jelou_types document audio;')
--- allowed
audio document


=== from the outer location
--- config eval
location('/', 'jelou_types text video;', location('/inner'))
--- path
/inner
--- allowed
text video


=== from the inner location
--- config eval
location('/', 'jelou_types text video;',
         location('/inner', 'jelou_types image;'))
--- path
/inner
--- allowed
image


=== the outer location has its own
--- config eval
location('/', 'jelou_types text video;',
         location('/inner', 'jelou_types image;'))
--- allowed
text video


=== another location's are its own
--- config eval
location('/', 'jelou_types text;') . location('/other')
--- path
/other
--- allowed
text image video audio document


=== with the verified bytes as they are
--- directives
jelou_types   text;
jelou_format  raw;
--- allowed
text


=== without a content handler
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    jelou_types     image;
}
--- requests eval
[post(typed('image'), keepalive => 1), post(typed('text'))]
--- reply
accepted m-1
422 TYPE_NOT_ALLOWED
--- upstream
none
--- grep_error_log eval
qr/jelou.*?(?=, client)/
--- grep_error_log_out
jelou refused a request: TYPE_NOT_ALLOWED


=== the type in escapes
--- directives
jelou_types  text;
--- requests eval
[
    post(typed('text', type => '"\u0074e\u0078t"'), keepalive => 1),
    post(typed('image', type => '"i\u006dage"')),
]
--- reply
accepted m-1
422 TYPE_NOT_ALLOWED
--- upstream eval
typed('text')
--- grep_error_log eval
qr/jelou.*?(?=, client)/
--- grep_error_log_out
jelou refused a request: TYPE_NOT_ALLOWED


=== a type that nobody knows is a violation of the schema
--- directives
jelou_types  text;
--- requests eval
[
    map { post(typed('text', type => $_), keepalive => $_ ne 'null') }
    '"sticker"', '"Text"', '"text "', '""', '"text,image"', '1', 'null'
]
--- reply eval
"422 INVALID_EVENT /value/type\n" x 7
--- upstream
none
--- grep_error_log eval
qr/jelou.*?(?=, client)/
--- grep_error_log_out eval
my $at = 'jelou refused a request: INVALID_EVENT: 1 violation, the first at '
       . '"/value/type"';
my $names = 'must be one of text, image, video, audio, document';
"$at: $names\n" x 5 . "$at: must be a string\n" x 2


=== the schema comes first
--- directives
jelou_types  text;
--- requests eval
[
    post(typed('image', user_id => undef), keepalive => 1),
    post(typed('image', content => '{"url":"https://media.test/1"}'),
         keepalive => 1),
    post(typed('audio', content => '{"url":"http://h/","mime_type":"a"}'),
         keepalive => 1),
    post(typed('video', field => '"x"', id => '""')),
]
--- reply
422 INVALID_EVENT /user_id
422 INVALID_EVENT /value/content/mime_type
422 INVALID_EVENT /value/content/url /value/content/mime_type
422 INVALID_EVENT /field /value/id
--- upstream
none
--- grep_error_log eval
qr/jelou.*?(?=, client)/
--- grep_error_log_out
jelou refused a request: INVALID_EVENT: 1 violation, the first at "/user_id": is required
jelou refused a request: INVALID_EVENT: 1 violation, the first at "/value/content/mime_type": is required
jelou refused a request: INVALID_EVENT: 2 violations, the first at "/value/content/url": must be an https URL
jelou refused a request: INVALID_EVENT: 2 violations, the first at "/field": must be \"messages\"


=== JSON and the signature come first
--- directives
jelou_types  text;
--- requests eval
[
    post(substr(typed('image'), 0, -1), keepalive => 1),
    post(typed('image'), secret => 'another one'),
]
--- reply
400 INVALID_JSON
401 SIGNATURE_MISMATCH
--- upstream
none
--- grep_error_log eval
qr/jelou.*?(?=, client)/
--- grep_error_log_out eval
my $n = length(typed('image')) - 1;
"jelou refused a request: INVALID_JSON: not JSON at byte $n of $n\n" .
"jelou refused a request: SIGNATURE_MISMATCH\n"
