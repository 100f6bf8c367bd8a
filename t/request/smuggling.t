# Requests whose end is not the same for everyone who reads them.  Behind each
# one, where a reader may take it for a part of the body, for a chunk or for a
# request of its own, there is another one that is signed right.  The upstream,
# on connections that are kept, gets what was meant, byte for byte, or nothing.

use strict;
use warnings;

use lib 't/lib';

use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Messages;
use Jelou::Server;
use Jelou::Upstream;
use Test::More;

my $port     = $Jelou::Port{SERVER};
my $upstream = Jelou::Upstream->start("$Jelou::Dir/$Jelou::Name.upstream",
                                      http => $Jelou::Port{APP});

# A connection without a request ends soon, so that its end can be waited for.

my $nginx = Jelou::Server->start(name => 'front', level => 'error', http => <<"END");
upstream app {
    server     127.0.0.1:$Jelou::Port{APP} max_fails=0;
    keepalive  4;
}

server {
    listen  127.0.0.1:$port;

    jelou_secret           "$Jelou::Secret";
    client_header_timeout  250ms;
    client_body_timeout    250ms;
    keepalive_timeout      30ms;
    lingering_close        off;

    proxy_http_version  1.1;
    proxy_set_header    Connection "";

    location /event {
        jelou_endpoint  incoming_message;
        proxy_pass      http://app;
    }
    location /raw {
        jelou_endpoint           incoming_message;
        jelou_format             raw;
        client_body_buffer_size  64;
        proxy_pass               http://app;
    }
}
END

my ($worker) = $nginx->workers;


# Forms: a name; the header's lines that say where the body ends, and other ones;
# what stands behind the header; and what the upstream gets: "none", "outer", the
# event of the request alone, "both", with the one behind, where all that stands
# there is clear, or "either" of both and none, by nginx's release.  In
# the lines and in what stands behind them,
#
#     EVENT HIDDEN       the event, and the request that is behind it,
#     L LH               the lengths of EVENT and of both,
#     xL xLH             the same, hexadecimal,
#     SIGN               a right signature.
#
# Without a SIGN or a NOSIGN in the lines there is a signature.

my $chunks = "xL\r\nEVENT\r\n0\r\n\r\n";

my @forms;

sub form { push @forms, [@_] }

# the control: there are no other readings

form('a length',       'outer', ['Content-Length: L'], 'EVENT');
form('a length, and a request', 'both', ['Content-Length: L'], 'EVENTHIDDEN');
form('chunks',         'outer', ['Transfer-Encoding: chunked'], $chunks);
form('chunks, and a request', 'both', ['Transfer-Encoding: chunked'],
     "${chunks}HIDDEN");

# what hides is in the body: that is no JSON

form('a request in a body', 'none', ['Content-Length: LH'], 'EVENTHIDDEN');
form('a request in a chunk', 'none', ['Transfer-Encoding: chunked'],
     "xLH\r\nEVENTHIDDEN\r\n0\r\n\r\n");

# two lengths

form("lengths: $_", 'none', [map { "Content-Length: $_" } split / \+ /],
     'EVENTHIDDEN')
    for 'L + LH', 'LH + L', '0 + LH', 'LH + 0', 'L + x', 'x + L';

form("a length: \"$_\"", 'none', ["Content-Length: $_"], 'EVENTHIDDEN')
    for 'L, L', 'L, LH', 'L,L', '+L', '-L', '-1', '0xxL', 'L.0', 'Le0', 'L L',
        "L\tL", 'L;', '"L"', 'x', '', '18446744073709551616L',
        '9223372036854775808', "\x0bL", "L\x0b", "\xc2\xa0L";

form('a length with zeros', 'both', ['Content-Length: 000L'], 'EVENTHIDDEN');
form('a length with spaces', 'both', ['Content-Length:   L  '], 'EVENTHIDDEN');

# no length

form('no length', 'none', [], 'EVENTHIDDEN');

# a length and chunks

form("a length ($$_[0]) and chunks, $$_[1] first", 'none',
     [$$_[1] eq 'chunks' ? ('Transfer-Encoding: chunked',
                            "Content-Length: $$_[0]")
                         : ("Content-Length: $$_[0]",
                            'Transfer-Encoding: chunked')],
     "${chunks}HIDDEN")
    for map { ([$_, 'chunks'], [$_, 'the length']) } '0', 'L', '4', 'LH';

form("a length and \"$_\"", 'none', ['Content-Length: L', "Transfer-Encoding: $_"],
     'EVENTHIDDEN')
    for 'identity', 'xchunked', 'chunked, identity', 'gzip';

# what is not quite chunked

form("Transfer-Encoding \"$_\"", 'none', ["Transfer-Encoding: $_"],
     "${chunks}HIDDEN")
    for 'chunked, chunked', 'chunked,chunked', 'xchunked', 'chunkedx',
        'identity', 'chunked, identity', 'identity, chunked', 'gzip, chunked',
        "\tchunked", "chunked\t", "\x0bchunked", '"chunked"', 'chunked;q=1',
        'chun ked', 'chunke', '', 'x';

form("Transfer-Encoding \"$_\"", 'both', ["Transfer-Encoding: $_"],
     "${chunks}HIDDEN")
    for 'Chunked', 'CHUNKED', '  chunked', 'chunked  ';

form("Transfer-Encoding twice: $$_[0], $$_[1]", 'none',
     [map { "Transfer-Encoding: $_" } @$_], "${chunks}HIDDEN")
    for ['chunked', 'identity'], ['identity', 'chunked'], ['chunked', 'chunked'],
        ['x', 'chunked'], ['chunked', 'x'];

form("\"$_\"", 'none', ["$_: chunked"], "${chunks}HIDDEN")
    for 'Transfer-Encoding ', "Transfer-Encoding\t", ' Transfer-Encoding',
        "\tTransfer-Encoding", "Transfer-Encoding\0", "Transfer-Encoding\r";

form('chunks in HTTP/1.0', 'none', ['Transfer-Encoding: chunked'],
     "${chunks}HIDDEN", 'HTTP/1.0');

# names that are other ones

form("\"$_\" and a length", 'both', ["$_: chunked", 'Content-Length: L'],
     'EVENTHIDDEN')
    for 'Transfer_Encoding', 'Transfer-Encodin', 'X-Transfer-Encoding', 'TE';

form("\"$_\" and chunks", 'both', ["$_: LH", 'Transfer-Encoding: chunked'],
     "${chunks}HIDDEN")
    for 'Content_Length', 'X-Content-Length';

# sizes of chunks

form("the size \"$_\"", 'none', ['Transfer-Encoding: chunked'],
     "$_\r\nEVENT\r\n0\r\n\r\nHIDDEN")
    for '-xL', '-1', '+xL', '0xxL', 'xLg', 'g', '', 'fffffffffffffffff',
        'ffffffffffffffff', '8000000000000000', '100000000000000xL', 'L.0',
        ';xL', '"xL"', "\x0bxL", "xL\0", "\xef\xbc\x95";

form("a chunk $$_[0]", 'none', ['Transfer-Encoding: chunked'],
     "$$_[1]0\r\n\r\nHIDDEN")
    for ['without its end', "xL\r\nEVENT"],
        ['with garbage behind it', "xL\r\nEVENTx\r\n"],
        ['with a carriage return behind it', "xL\r\nEVENT\r"],
        ['that is larger', "xLH\r\nEVENT\r\n"],
        ['with a carriage return alone', "xL\rEVENT\r\n"];

form('a chunk of a size too small', 'none', ['Transfer-Encoding: chunked'],
     "4\r\nEVENT\r\n0\r\n\r\nHIDDEN");
form('no last chunk', 'none', ['Transfer-Encoding: chunked'],
     "xL\r\nEVENT\r\nHIDDEN");
form('extensions', 'both', ['Transfer-Encoding: chunked'],
     "xL;a=b;c=\"d\"\r\nEVENT\r\n0;e\r\n\r\nHIDDEN");
form('zeros in sizes', 'both', ['Transfer-Encoding: chunked'],
     "0000xL\r\nEVENT\r\n000\r\n\r\nHIDDEN");

# trailers do not count

form('a length in a trailer', 'both', ['Transfer-Encoding: chunked'],
     "xL\r\nEVENT\r\n0\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\nHIDDEN");
form('a signature in a trailer', 'none',
     ['Transfer-Encoding: chunked', 'Trailer: X-Jelou-Signature', 'NOSIGN'],
     "xL\r\nEVENT\r\n0\r\nX-Jelou-Signature: SIGN\r\n\r\n");

# lines

form("$$_[0]", 'none', ['Content-Length: L', $$_[1]], 'EVENTHIDDEN')
    for ['a line that is folded', "X-Fold: a\r\n b"],
        ['a line that is folded, by a tab', "X-Fold: a\r\n\tb"],
        ['a signature that is folded', "X-Jelou-Signature:\r\n SIGN"],
        ['a NUL in a value', "X-Nul: a\0b"],
        ['a NUL in a name', "X-N\0ul: a"],
        ['a carriage return in a value', "X-Cr: a\rb"],
        ['a carriage return before a length', "X-Cr: a\rContent-Length: 0"],
        ['a carriage return in a name', "X-C\rr: a"],
        ['a space in a name', 'X Y: a'],
        ['a space before the colon', 'X-Space : a'],
        ['a length with a space before the colon', 'Content-Length : 0'],
        ['a control character in a name', "X-\x01: a"],
        ['no name', ': a'],
        ['two hosts', 'Host: another'];

form('a host with a line feed', 'none',
     ['Content-Length: L', "Host: a\nTransfer-Encoding: chunked"],
     'EVENTHIDDEN');

form('no colon', 'either', ['Content-Length: L', 'X-None'], 'EVENTHIDDEN');
form('line feeds alone', 'either', ['Content-Length: L', "X-Lf: a\nX-B: c"],
     'EVENTHIDDEN');
form('Connection names the length', 'both',
     ['Content-Length: L', 'Connection: Content-Length, X-Jelou-Signature'],
     'EVENTHIDDEN');
form('Connection names the chunks', 'both',
     ['Transfer-Encoding: chunked', 'Connection: Transfer-Encoding'],
     "${chunks}HIDDEN");
form('Upgrade to HTTP/2', 'both',
     ['Content-Length: L', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__',
      'Connection: Upgrade, HTTP2-Settings'], 'EVENTHIDDEN');

# versions

form("the version \"$_\"", 'none', ['Content-Length: L'], 'EVENTHIDDEN', $_)
    for 'HTTP/2.0', 'HTTP/1.', 'HTTP/9.9', 'HTTQ/1.1', 'HTTP/1.1 x',
        "HTTP/1.1\r";


# Each form in each format.  The request that comes afterwards, over connections
# to the upstream that are kept, is what was sent.

my $number = 0;

sub raw_of {
    my ($form, $path, $outer, $hidden) = @_;

    my ($name, $want, $lines, $rest, $version) = @$form;
    my $event  = $Jelou::Messages::Body{incoming_message}->($outer);
    my $second = request('incoming_message', $hidden, '/event',
                         keepalive => 1);

    my ($l, $h) = (length $event, length $second);
    my %value = (
        EVENT => $event, HIDDEN => $second, L => $l, LH => $l + $h,
        xL => sprintf('%x', $l), xLH => sprintf('%x', $l + $h),
        SIGN => sign($event),
    );

    my $put = sub {
        $_[0] =~ s/( xLH | xL | LH | \bL\b | \bL(?=e0) | (?<=0)L
                     | EVENT | HIDDEN | (?<!NO)SIGN )/$value{$1}/gxr
    };

    my @lines = @$lines;
    my @signature = grep({ /SIGN/ } @lines) ? () : 'X-Jelou-Signature: SIGN';

    @lines = map { $put->($_) } @signature, grep { $_ ne 'NOSIGN' } @lines;
    $version //= 'HTTP/1.1';

    return join "\r\n", "POST $path $version", 'Host: localhost',
        'Content-Type: application/json', @lines, '', $put->($rest);
}

for my $form (@forms) {
    my ($name, $want) = @$form;

    for my $path ('/event', '/raw') {
        my ($outer, $hidden, $after) = map { ++$number } 1 .. 3;

        $upstream->expect(200);

        my $all = ask($port, raw_of($form, $path, $outer, $hidden), 3);
        my $ok  = verdict(ask($port, request('incoming_message', $after, $path)));

        # how many answers there are, and of what kind

        my @status  = $all =~ m{(?:\A|(?<=[^\w]))HTTP/1\.1 (\d{3}) }g;
        my $answers = join ' ', @status;

        $want = @status && $status[0] == 200 ? 'both' : 'none'
            if $form->[1] eq 'either';

        my %events = (none => [], outer => [$outer], both => [$outer, $hidden]);
        my @events = map { $Jelou::Messages::Body{incoming_message}->($_) }
                     @{ $events{$want} }, $after;

        my @arrived = $upstream->requests(scalar @events);
        my @bodies  = map { $_->{body} } @arrived;

        like($answers, { none => qr/^(?:[45]\d\d ?)*$/, outer => qr/^200$/,
                         both => qr/^200 200$/ }->{$want},
             "$path, $name: the answers") or diag($all);
        is($ok, 200, "$path, $name: the next request");
        is(join("\n", @bodies), join("\n", @events),
           "$path, $name: what the upstream got");

        my @heads = grep {
            my @lengths = $_->{head} =~ /^Content-Length: (\d+)\r$/mg;
            my $length = length $_->{body};

            "@lengths" ne $length || $_->{head} =~ /^Transfer-Encoding/mi
            || $_->{head} !~ m{\APOST /\w+ HTTP/1\.1\r$}m
        } @arrived;

        is(scalar @heads, 0, "$path, $name: where each of it ends")
            or diag(map { $_->{head} } @heads);
    }
}

is_deeply([$nginx->workers], [$worker], 'the worker goes on');

$nginx->stop;
$upstream->stop;
