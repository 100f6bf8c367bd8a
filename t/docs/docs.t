# The documents and the code say the same, and what they show works: directives,
# variables, errors and schemas are compared with the tables in the sources, every
# block of nginx configuration is loaded, and the commands of the README and the
# requests of events.md are sent.

use strict;
use warnings;

use File::Basename qw(dirname);
use JSON::PP ();
use Test::More;

use lib 't/lib';
use Jelou::Config qw($Root slurp spew fences configurations whole);
use Jelou::Reports;
use Jelou::Upstream;

my $nginx = Jelou::Config->new('docs');
my $dir   = $nginx->dir;
my $url   = '/v1/external-support/webhook';

chdir $Root or die "$Root: $!\n";

my %doc = map { $_ => slurp($_) } glob '*.md docs/*.md docs/es/*.md';

my %conf = configurations();

my %code = map { /ngx_http_jelou_(\w+)\.c$/ => slurp($_) }
           <ngx_http_jelou_module/*.c ngx_http_jelou_module/*/*.c>;

# "one " "string" of C in two parts is one

s/"\n\s*"//g for values %code;

# what the directives are, set and become

my $conf_code = join '', @code{qw(module conf zones merge)};

# same(GOT, WANT, NAME): two sets of strings

sub same {
    my ($got, $want, $name) = @_;

    is_deeply([sort @$got], [sort @$want], $name);
}

# section(TEXT, HEADING): down to the next heading of that rank

sub section {
    my ($text, $heading) = @_;

    return $text =~ /^## \Q$heading\E\n(.*?)(?=^## |\z)/ms ? $1 : '';
}


# Directives

my ($anywhere) = $code{redis_module} =~ /define NGX_HTTP_JELOU_REDIS_ANYWHERE\s*\\\n\s*\((\S+)\)/;

my %flags = (
    $conf_code =~ /\{ ngx_string\("(jelou_\w+)"\),\s*([A-Z_0-9|\s]+?),/g,
    $code{redis_module} =~ s/NGX_HTTP_JELOU_REDIS_ANYWHERE\|/$anywhere|/gr
                        =~ /_redis_directive\("(jelou_\w+)",\s*([A-Z_0-9|\s]+?),/g,
    $code{deliver_module} =~ s/NGX_HTTP_JELOU_DELIVER_ANYWHERE\|/$anywhere|/gr
                          =~ /_deliver_directive\("(jelou_\w+)",\s*([A-Z_0-9|\s]+?),/g,
);

# the tables of values: constant => what stands for it in a configuration

my %value = $conf_code =~ /\{ ngx_string\("(\w+)"\), (NGX_HTTP_JELOU_\w+) \}/g;
my %name  = reverse %value;

my %default = (
    jelou_endpoint        => 'off',
    jelou_upstream_secret => 'off',
    jelou_dedup           => 'off',
    redis_defaults(),
    deliver_defaults(),
    (map { ("jelou_$_->[0]" => $name{$_->[1]}) }
         map { [$_ =~ /conf->(\w+),.*?(NGX_HTTP_JELOU_\w+)/s] }
             $conf_code =~ /_merge_uint_value\((.*?)\)/sg),
    (map { ("jelou_$_->[0]" => $_->[1] ? 'on' : 'off') }
         map { [$_ =~ /conf->(\w+),.*?(\d+)\z/s] }
             $conf_code =~ /_merge_value\((.*?)\)/sg),
    jelou_dedup_wait =>
        $conf_code =~ /define NGX_HTTP_JELOU_DEDUP_WAIT +(\d+)000\n/
        ? "${1}s" : undef,
    jelou_timestamp_tolerance =>
        $conf_code =~ /msec_value\(conf->tolerance, prev->tolerance, (\d+)\)/,
    jelou_field  => $conf_code =~ /defaults\[\] = \{\s*ngx_string\("(\w+)"/,
    jelou_object => $conf_code
                    =~ /defaults\[\] = \{[^,]*,\s*ngx_string\("(\w+)"/,
);

# The queue's: numbers and times in ms

sub redis_defaults {
    my ($pending) = $code{redis_conf} =~ /define NGX_HTTP_JELOU_REDIS_PENDING  (\d+)/;

    return (
        jelou_redis_dedup   => 'off',
        jelou_redis_pending => $pending,
        jelou_redis_db      => $code{redis_conf}
                               =~ /merge_value\(conf->db, prev->db, (\d+)\)/,
        (map { ("jelou_redis_$_->[0]" => $_->[1] ? 'on' : 'off') }
             map { [$_ =~ /conf->(\w+),.*?(\d+)\z/s] }
                 $code{redis_ssl_conf} =~ /_merge_value\((.*?)\);/sg),
        jelou_redis_ssl_protocols    => 'TLSv1.2 TLSv1.3',
        jelou_redis_ssl_ciphers      => 'DEFAULT',
        jelou_redis_ssl_verify_depth => 1,
        (map { ("jelou_redis_$_->[0]" => $_->[1] / 1000 . 's') }
             map { [$_ =~ /conf->(\w+),.*?(\d+)\z/s] }
                 $code{redis_conf} =~ /_merge_msec_value\((.*?)\);/sg),
    );
}

# The deliverer's

sub deliver_defaults {
    my $conf = $code{deliver_conf};
    my %is   = $conf =~ /_merge_uint_value\(conf->(\w+), prev->\w+, (\d+)\)/g;
    my %time = $conf =~ /_merge_msec_value\(conf->(\w+), prev->\w+, (\d+)\)/g;

    return (
        jelou_deliver_order  => $conf =~ /order, prev->order,\s*NGX_HTTP_JELOU_DELIVER_ROOM/
                                ? 'room' : undef,
        jelou_deliver_delete => $conf =~ /remove, prev->remove, 1\)/ ? 'on' : 'off',
        jelou_deliver_retry  => $time{retry} / 1000 . 's max=' . $time{retry_max} / 60000
                                . "m attempts=$is{attempts}",
        map { ("jelou_deliver_$_" => $is{$_}) } qw(parallel window),
    );
}

my ($endpoints) = $code{events} =~ /ngx_http_jelou_endpoints\[\] = \{(.*?)^\};/ms;

my @endpoints = $endpoints =~ /\{ ngx_string\("(\w+)"\)/g;

my %choice = (
    jelou_deliver_order => [$code{deliver_conf} =~ /ngx_string\("(room|none)"\)/g],
    jelou_redis_ssl_protocols => [$code{redis_ssl_conf} =~ /string\("(TLSv[\d.]+)"\)/g],
    jelou_endpoint => [@endpoints, 'off'],
    (map {
        my $enum = $_;
        ("jelou_$enum" => [map { lc } grep { defined } map { $name{$_} }
            grep { /_\U$enum\E_/ } keys %name]);
    } qw(format reply status access text)),
    jelou_conversation_events => [map { lc $name{$_} } grep { /_CONVERSATION_/ }
                                  keys %name],
);

# what a directive that has no list of values takes

my %syntax = (
    jelou_secret              => 'secret ... | off',
    jelou_secret_file         => 'path',
    jelou_upstream_secret     => 'secret | off',
    jelou_upstream_secret_file => 'path',
    jelou_types               => 'type',
    jelou_media_schemes       => 'scheme',
    jelou_field               => 'string',
    jelou_object              => 'string',
    jelou_event_type          => 'string',
    jelou_timestamp_tolerance => 'time [future=time]',
    jelou_dedup_zone          => 'zone=name:size [ttl=time]',
    jelou_dedup               => 'zone=name [key=string] | off',
    jelou_dedup_wait          => 'time',
    jelou_redis_pass          => 'address',
    jelou_redis_stream        => 'name [limit=number | maxlen=number]',
    jelou_redis_dedup         => 'time [key=string] | off',
    (map { ("jelou_redis_$_" => 'path | off') } qw(auth_file sentinel_auth_file)),
    (map { ("jelou_redis_$_" => 'number') } qw(db pending ssl_verify_depth)),
    (map { ("jelou_redis_ssl_$_" => 'path') }
         qw(trusted_certificate crl certificate certificate_key password_file)),
    (map { ("jelou_redis_$_" => 'string') } qw(sentinel ssl_name ssl_ciphers)),
    (map { ("jelou_redis_$_" => 'time') } qw(connect_timeout read_timeout)),
    jelou_deliver             => 'address stream=name ... group=name [uri=path]',
    (map { ("jelou_deliver_$_" => 'number') } qw(parallel window)),
    jelou_deliver_retry       => 'time [max=time] [attempts=number]',
    jelou_deliver_dead        => 'name',
    jelou_status_zone         => 'zone=name:size [secrets=number]',
);

my %context = (MAIN => 'http', SRV => 'server', LOC => 'location');

subtest directives => sub {
    my $text = $doc{'docs/directives.md'};

    ok(keys %flags >= 15, 'the table of the module is found');
    ok(keys %value >= 5, 'and the values');
    same([$text =~ /^## (jelou_\w+)$/mg], [keys %flags], 'what is documented');

    for my $name (sort keys %flags) {
        my ($form, $prose) = section($text, $name)
                             =~ /\A\n```\n(.*?)^```\n\n(.*)/ms;
        my %is = ($form // '') =~ /^(Syntax|Default|Context): +(\S.*)$/mg;

        same([keys %is], [qw(Syntax Default Context)], "$name: its form")
            or next;

        my ($values) = $is{Syntax} =~ /^$name (.+?)(?: \.\.\.)?;$/;

        $choice{$name} //= [qw(on off)] if $flags{$name} =~ /NGX_CONF_FLAG/;

        if ($choice{$name}) {
            same([split / \| /, $values // ''], $choice{$name},
                 "$name: the values");

        } else {
            is($values, $syntax{$name}, "$name: the value");
        }

        is($is{Syntax} =~ /\.\.\./ ? 'several' : 'one',
           $flags{$name} =~ /[12]MORE/ ? 'several' : 'one', "$name: how many");

        is($is{Default},
           defined $default{$name} ? "$name $default{$name};" : '—',
           "$name: the default");

        same([split /, /, $is{Context}],
             [map { $context{$_} // die $_ }
                  $flags{$name} =~ /NGX_HTTP_(\w+)_CONF/g],
             "$name: the context");

        like($prose, qr/\A[A-Z][a-z]+s /, "$name: begins with a verb");
    }
};


# How long an event is tried: a wait loses a half at the most, a quarter on average.

subtest 'delivery.md: how long the attempts take' => sub {
    my ($first, $max, $attempts) = $default{jelou_deliver_retry}
                                   =~ /^(\d+)s max=(\d+)m attempts=(\d+)$/;
    my $all = 0;

    for my $n (1 .. $attempts - 1) {
        my $wait = $first * 2 ** ($n - 1);

        $all += $wait < 60 * $max ? $wait : 60 * $max;
    }

    my ($tries, $mean, $least) = $doc{'docs/delivery.md'}
        =~ /After (\d+)\s+attempts .*?this\s+takes\s+(\d+)\s+hours\s+on\s+average,\s+(\d+)/s;

    is($tries, $attempts, 'the attempts');
    is($mean, int(0.75 * $all / 3600), 'hours, on average');
    is($least, int(0.5 * $all / 3600), 'and at least');
};


# Variables

my @variables = map { /\{ ngx_string\("(jelou_\w+)"\)/g }
                @code{qw(variable deliver_variable)};

subtest variables => sub {
    ok(@variables >= 11, 'the table of the module is found');

    same([$doc{'docs/variables.md'} =~ /^\| `\$(\w+)` \|/mg], \@variables,
         'what is documented');
};


# Metrics, and the members of the JSON page: both are of the same tables

subtest metrics => sub {
    my $text = $doc{'docs/status.md'};

    my @tables = map { /_family\[\] = \{(.*?)^\};/ms } @code{qw(families queue_families)};
    my $scopes = join '', map { /_scopes\[\] = \{(.*?)^\};/ms } @code{qw(families queue_families)};
    my $table  = join '', @tables;

    my (%scope, @top);
    my @names = qw(ENDPOINT ZONE MODULE QUEUE STREAM GROUP DELIVERY);

    while ($scopes =~ /\{ (?:"(\w+)"|NULL), \w+, \{ (.*?) \} \}/g) {
        my ($member, $labels) = ($1, $2);

        push @top, $member if defined $member;
        $scope{ shift @names } = join ' ', $labels =~ /"(\w+)"/g;
    }

    is_deeply(\@names, [], 'the scopes are found');

    my $string = qr/((?:"[^"]*"\s*)+)/;
    my (%metric, %member);

    while ($table =~ /ngx_http_jelou_(?:
                         (metric)\($string,\s*$string,\s*$string,\s*$string,\s*(\w+),\s*(\w+),
                       | (histogram)\($string,\s*$string,\s*$string,\s*(\w+),
                       | member\($string,\s*(\w+),)/gx)
    {
        my ($name, $help, $label, $member, $scope, $type)
            = $1 ? ($2, $3, $4, $5, $6, $7)
            : $8 ? ($9, $10, '', $11, $12, 'HISTOGRAM')
            :      ('', '', '', $13, $14);

        s/^"|"\s*\z|"\s*"//g for $name, $help, $label, $member;

        next if $name eq '' && $member eq '';

        # a gauge in seconds is one to Prometheus

        $type = 'GAUGE' if ($type // '') eq 'SECONDS';

        $metric{$name} = join ' ', lc $type, grep { length } $scope{$scope}, $label
            if $name ne '';
        push @{ $member{$scope} }, $member if $member ne '';

        like($help, qr/\A[A-Z].*\.\z/, "$name: its help is a sentence")
            if $name ne '';
    }

    ok(keys %metric >= 12 && @{ $member{ENDPOINT} } >= 11, 'the table is found');

    my $rows = section($text, 'Metrics');
    my %said;

    $said{$1} = join ' ', $2, map { /`(\w+)`/ } split /, /, $3
        while $rows =~ /^\| `(\w+)` \| (\w+) \| (.+?) \| /mg;

    is_deeply(\%said, \%metric, 'metrics, their types and labels');

    # in the rules, a histogram has its parts

    for my $file (sort keys %doc) {
        same([grep { !$metric{ s/_(?:bucket|sum|count)$//r } }
                   $doc{$file} =~ /\b(nginx_jelou_\w+)/g], [],
             "$file: no other metric");
    }

    for my $scope (qw(ENDPOINT ZONE QUEUE STREAM GROUP DELIVERY)) {
        my @labels = $scope =~ /^(?:STREAM|GROUP|DELIVERY)$/ ? split / /, $scope{$scope} : ();
        my ($rows) = $text =~ /^\| Member of an? \L$scope\E \|.*\n\|.*\n((?:\|.*\n)+)/m;

        is_deeply([($rows // '') =~ /^\| `(\w+)` \|/mg], [@labels, @{ $member{$scope} }],
                  "JSON: the members of a \L$scope");
    }

    my ($top) = $text =~ /^\| Member \|.*\n\|.*\n((?:\|.*\n)+)/m;
    my ($json) = $code{metrics}
                 =~ /\nngx_http_jelou_metrics_write\(.*?^\{(.*?)^\}/ms;

    same([$top =~ /^\| `(\w+)` \|/mg],
         [keys %{ { map { $_ => 1 } @top, $json =~ /\\"(\w+)\\":/g } }],
         'JSON: the members');
};


# No document speaks of a directive or a variable that there is not.

subtest names => sub {
    my %known = map { $_ => 1 } keys %flags, map { "\$$_" } @variables;

    for my $file (sort keys %doc, keys %conf) {
        my $text = ($doc{$file} // $conf{$file}) =~ s/\]\([^)]*\)/]/gr;

        my @names = $text =~ /(?<![\w\$])(\$?jelou_\w+)/g;

        # "jelou_redis_..." stands for all that begin so

        same([grep { my $name = $_; !$known{$name}
                     && !($name =~ /_$/ && grep { /^\Q$name\E/ } keys %known) }
                   @names], [], $file);
    }

    my ($table) = $doc{'README.md'} =~ /^## Directives\n(.*?)^## /ms;
    my @rows    = $table =~ /\[`(jelou_\w+)\W*`\]/g;

    same([grep { my $name = $_; !grep { $name eq $_ || /_$/ && $name =~ /^$_/ } @rows }
               keys %flags], [], 'the README has all directives');
};


# Errors

subtest errors => sub {
    my $text = $doc{'docs/errors.md'};

    # NOT_FOUND has two codes, ours and that of nginx's own 404.

    # level, code and key of the catalogue; key of a status

    my (%refusal, %status);

    while ($code{error} =~ /NGX_LOG_(\w+)[^;]*?"(\d{3}\.\d)",\s*"([A-Z_]+)"/g) {
        $refusal{$3} = { code => $2, level => $1 eq 'ERR' ? 'error' : lc $1 };
    }

    while ($code{error} =~ /\{ (\d+), 0, ngx_string\("[^"]*"\),\s*ngx_string\("([A-Z_]+)"/g) {
        $status{$1 || 'any other 4xx'} = $2;
    }

    ok(keys %refusal >= 16 && keys %status >= 21, 'the tables are found');

    my (%row, %by_status);

    while ($text =~ /^\| (.+?) \| `([A-Z_]+)` \| ([\d.]+)(.*?) \| (\w+) \|$/mg) {
        my ($said, $key, $code, $level) = ($1, $2, $3, $5);

        $row{$key} = { code => $code, level => $level };

        is($said, $key eq 'UPSTREAM_REJECTED' ? "the upstream's"
                                              : substr($code, 0, 3),
           "$key: the status");
    }

    $by_status{$1} = $2 while $text =~ /^\| (.+?) \| `([A-Z_]+)` \|$/mg;

    is_deeply(\%row, \%refusal, 'key, code and level of refusals');
    is_deeply(\%by_status, \%status, 'keys of a status');

    same([$text =~ /^\*\*`([A-Z_]+)`\*\* – /mg], [keys %refusal],
         'each is explained');

    my %key = map { $_ => 1 } keys %refusal, values %status;

    for my $file (sort keys %doc) {
        same([grep { !$key{$_} } $doc{$file} =~ /`(?!NGX_|JELOU_)([A-Z]+_[A-Z_]+)`/g], [],
             "$file: no other key");
    }

    my @said = section($text, 'Violations') =~ /^\| `(.+?)` \|/mg;
    my %text = map { $_ => 1 }
               "@code{qw(events check items parse rule url)}"
               =~ /ngx_string\("((?:must|is|has) [^"]+)"/g;

    # those that have a value, or a number

    $text{'must be an https or http URL'} = $text{'must be an https URL'} = 1
        if $code{url} =~ /"must be an https URL".*"must be an https or http URL"/s;

    my $varies = qr/^(?:must be "|must be a URL of: |has \d+ members )/;

    same([grep { !/$varies/ } @said], [keys %text], 'violations');
    is(scalar(grep { /$varies/ } @said), 3, 'and those that vary');
    like($conf_code, qr/"must be a URL of: "/, 'the one of schemes');
    like($code{parse}, qr/"has %ui member%s outside the schema"/,
         'the one of members outside the schema');
    is(scalar(grep { $_ eq qq(must be "$default{jelou_field}") } @said), 1,
       'the violation of a fixed value');

    my @reasons = join('', $code{parse}, $code{yajl},
                       slurp('ngx_http_jelou_module/event/ngx_http_jelou_yajl.h'))
                  =~ /reason = [^;"]*"([^"]+)"/g;

    same([grep { index($text, "`$_`") < 0 } @reasons], [],
         'why a body is not JSON');
    ok(@reasons >= 4, 'the reasons are found');
};


# Schemas: events.md has the members and the names of the tables

my %macro;    # name => [parameters, body]

while ($code{events} =~ /^#define (\w+)(?:\(([^)]*)\))?((?:.*\\\n)*.*)$/mg) {
    my ($name, $parameters, $body) = ($1, $2 // '', $3);

    $macro{$name} = [[split /,\s*/, $parameters], $body =~ s/\\\n/\n/gr];
}

# expanded(TEXT, NAMES): with the bodies of these macros in their place

sub expanded {
    my ($text, $names) = @_;

    my $expand = sub {
        my ($parameters, $body) = @{ $macro{$_[0]} };
        my %is;

        @is{@$parameters} = split /,\s*/, $_[1] // '';
        return $body =~ s/\b(\w+)\b/$is{$1} \/\/ $1/ger;
    };

    1 while $text =~ s/\b($names)\b(?:\(([^()]*)\))?/$expand->($1, $2)/e;

    return $text;
}

sub table {
    my ($type, $name) = @_;

    return $code{events} =~ /ngx_http_jelou_$type  $name\[\] = \{(.*?)^\};/ms
           ? $1 : die "no table $name\n";
}

# members(OBJECT, PREFIX): [path, JSON type, required, slot] of each, in order

sub members {
    my ($object, $prefix) = @_;

    my ($name) = $code{events} =~ /\b$object =\s*ngx_http_jelou_members\((\w+)\)/
        or die "no object $object\n";

    my $rows = expanded(table('member_t', $name), 'ngx_http_jelou_timestamp');
    my @members;

    while ($rows =~ /(?:ngx_http_jelou_(\w+)\(|\{\ ngx_string\()"(\w+)"\)?,\s*
                     (?:NGX_HTTP_JELOU_)?(\w+)((?:[^(){}"]|"\w*"|\([^()]*\))*)/gx)
    {
        my ($macro, $member, $slot, $rest) = ($1 // '', $2, $3, $4);

        $rest .= '_BY_TYPE' if $macro eq 'url';

        my $type = $macro eq 'object' || $macro eq 'array' ? $macro
                   : $rest =~ /_NUMBER\b/ ? 'number' : 'string';

        # a member that no type has belongs to another kind of event

        next if $rest =~ /_BY_TYPE\b/
                && $code{events} !~ /ngx_http_jelou_has\($slot\)/;

        push @members, ["$prefix$member", $type,
                        $macro =~ /^(?:id|fixed)$/ || $rest =~ /_REQUIRED\b/
                        ? 'yes' : $rest =~ /_BY_TYPE\b/ ? 'by type' : 'no',
                        $slot];

        push @members, members($1, "$prefix$member"
                                   . ($type eq 'array' ? '[].' : '.'))
            if $rest =~ /&(\w+)/;
    }

    return @members;
}

# names(PIECES, SLOTS): of the members that the pieces write, if they have one
# of these slots, or none

sub names {
    my ($pieces, $slots) = @_;

    my $rows = expanded(table('piece_t', $pieces), 'NGX_HTTP_JELOU_\w+_PIECES');
    my @names;

    while ($rows =~ /ngx_string\("((?:[^"\\]|\\.)*)"\)|
                     ngx_http_jelou_(\w+)\("((?:[^"\\]|\\.)*)"(?:,\s*(\w+))?
                     (?:,\s*(\w+))?/gx)
    {
        my ($what, $text, $first, $slot) = ($2 // '', $1 // $3, $4 // '', $5 // '');

        next if $what eq 'piece' && $first ne 'FIXED'
                && $slot !~ /^ITEM_/ && !$slots->{$slot};

        push @names, $text =~ /\\"(\w+)\\":/g;
        push @names, names($first, $slots) if $what eq 'items';
    }

    return @names;
}

my %kind = $code{events} =~ /\b(\w+_kind) = \{\s*&(\w+),/g;
my %event_of = $code{events} =~ /\b(\w+_kind) = \{\s*&\w+,\s*(\w+),/g;

# section of events.md => kind; variants of an endpoint

my (%kind_of, %variants);

for ($endpoints =~ /\{ (ngx_string\("\w+"\),[^}]*) \}/g) {
    my ($name) = /^ngx_string\("(\w+)"\)/;
    my ($kind, $other) = /&(\w+_kind)/g;
    my ($types) = /ngx_http_jelou_variants\((\w+)\)/;

    $kind_of{$name} = $kind;
    $kind_of{'Conversation events'} = $other if $other;
    $variants{$name} = expanded(table('variant_t', $types),
                                'ngx_http_jelou_\w+_media');
}

# types(ENDPOINT): all names of its message types

sub types {
    my %types = map { $_ => 1 } $variants{$_[0]} =~ /ngx_string\("(\w+)"/g;

    return keys %types;
}

subtest schemas => sub {
    my $text = $doc{'docs/events.md'};

    is(scalar keys %kind_of, 5, 'the kinds of events are found');

    for my $name (sort keys %kind_of) {
        my $section = section($text, $name);
        my @members = members($kind{$kind_of{$name}}, '');
        my @said = map { [split / \| /] } $section =~
                   /^\| `([\w.\[\]]+` \| \w+ \| (?:yes|no|by type)) \|/mg;

        $_->[0] =~ s/`$// for @said;

        is_deeply(\@said, [map { [@$_[0 .. 2]] } @members],
                  "$name: the members, their types, and which are required");

        my %slots = map { $_ => 1 } 'ROOM_ID', 'BOT_ID', 'MESSAGE_ID',
                    map { $_->[3] } @members;

        is_deeply([join('', fences($section, 'text')) =~ /"(\w+)":/g],
                  [names($event_of{$kind_of{$name}}, \%slots)],
                  "$name: the members of the event");
    }

    for my $name (sort keys %variants) {
        my @documented = section($text, $name) =~ /^\| `(\w+)` \| `/mg;
        my @sent = $variants{$name} =~ /\{ ngx_string\("(\w+)"/g;

        next if $name eq 'message' || $name eq 'bot_message';

        is_deeply(\@documented, \@sent, "$name: the message types");
    }
};


# Links

subtest links => sub {
    my @anchors = map {
        my $file = $_;

        map { s/[^\w\- ]//gr =~ s/ /-/gr =~ s/^/$file#/r }
            map { lc } $doc{$file} =~ /^#+ (.+)$/mg;
    } keys %doc;

    my %anchors = map { $_ => 1 } @anchors;

    my %linked;

    for my $file (sort keys %doc) {
        my $text = $doc{$file} =~ s/^```.*?^```$//msgr;

        while ($text =~ /\]\((?!https?:)([^)#]*)(#[^)]*)?\)/g) {
            my ($path, $anchor) = ($1, $2);

            $path = $path eq '' ? $file : dirname($file) . "/$path";
            1 while $path =~ s{(?:^|/)\K(?:\./|(?!\.\.)[^/]+/\.\./)}{};

            ok(-e $path, "$file: $path");
            ok($anchors{"$path$anchor"}, "$file: $path$anchor")
                if defined $anchor;

            $linked{$file}{$path} = 1;
        }
    }

    # The index has all pages, and the README has the index.

    for my $dir (qw(docs docs/es)) {
        same([grep { !$linked{"$dir/README.md"}{$_} && !/README/ && dirname($_) eq $dir }
                   keys %doc], [], "pages that the index of $dir does not have");
    }

    ok($linked{'README.md'}{'docs/README.md'}, 'the README has the index');
};


subtest sources => sub {
    same([$doc{'docs/development.md'} =~ /^\| `(\w+)\.c` \|/mg], [keys %code],
         'development.md has all of them');

    my %there = map { s{.*/}{}r => 1 }
                <ngx_http_jelou_module/*.[ch] ngx_http_jelou_module/*/*.[ch]>;

    for my $file (sort keys %doc) {
        same([grep { !$there{$_} } $doc{$file} =~ /\b(ngx_http_jelou_\w+\.[ch])\b/g], [],
             "$file: sources that there are not");
    }

    # the way of a request names files and functions that there are

    my ($way) = $doc{'docs/development.md'} =~ /^### The way of a request\n(.*?)^### /ms;
    my @steps = ($way // '') =~ /^\| [^|`]+ \| `(\w+)\.c` \| (.*) \|$/mg;

    cmp_ok(scalar @steps, '>=', 2 * 12, 'its steps are found');

    while (my ($file, $functions) = splice @steps, 0, 2) {
        my ($first, @called) = $functions =~ /`(\w+)`/g;
        my $where = $code{$file} // '';

        like($where, qr/^ngx_http_jelou_$first\(/m, "$file.c has $first()");

        for my $name (@called) {
            ok((grep { /^ngx_http_jelou_$name\(/m } values %code), "there is $name()");
        }
    }
};


subtest commands => sub {
    my $all = join '', values %doc;

    for my $file (sort keys %doc) {
        same([grep { !-e } $doc{$file} =~ /\b(util\/[\w\/-]+(?:\.\w+)?)/g], [],
             "$file: scripts that there are not");
    }

    for my $script (glob 'util/*.sh') {
        next if $script eq 'util/lib.sh';

        like($all, qr/\bsh \Q$script\E(?![\w.])/, $script);

        my @packages = grep { !/\$/ } map { split }
                       slurp($script) =~ s/\\\n//gr =~ /(?:^|\|\| )\s*need (.+)$/mg;

        same([grep { index($all, "`$_`") < 0 } @packages], [],
             "the packages that $script installs");
    }
};


# Configurations

$nginx->certificate('webhook.example.com');
$nginx->supply('/etc/nginx/jelou-secret.conf',
               qq(jelou_secret "a-secret-of-the-test";\n));
$nginx->supply('/etc/nginx/jelou.clients', 'client:' . `openssl passwd -apr1 x`);

# The secret file is the one of directives.md.

my ($secrets) = fences($doc{'docs/directives.md'}, 'text');

chmod 0600, $nginx->supply('/etc/nginx/jelou.redis', "a-user a-password\n");
chmod 0600, $nginx->supply('/etc/nginx/jelou.secrets', $secrets)
    or die "chmod: $!\n";

subtest 'blocks of configuration' => sub {
    for my $file (sort keys %doc) {
        my @blocks = fences($doc{$file}, 'nginx');

        for my $i (0 .. $#blocks) {
            my $text = whole($blocks[$i]);
            my $name = "$file: block $i";

            ok(defined $text, "$name: its level is known") or next;
            is($nginx->check($text), '', "$name loads");
        }
    }
};

# with(DIRECTIVE VALUE, ENDPOINT): a configuration with it

sub with {
    my ($directive, $endpoint) = @_;

    my $zone = 'jelou_dedup_zone zone=seen:1m;';

    return whole("$directive;\nserver {\nlocation / {\n}\n}\n")
        if $directive =~ /^jelou_\w+_zone/;

    return whole("server {\nlocation / {\n$directive;\n}\n}\n")
        if $directive =~ /^jelou_status/;

    return whole("server {\nlocation / {\nproxy_pass http://127.0.0.1;\n$directive;\n}\n}\n")
        if $directive =~ /^jelou_deliver /;

    $directive = "jelou_endpoint $endpoint;\n$directive"
        unless $directive =~ /^jelou_endpoint/;
    $directive .= ";\njelou_secret a-secret-value-x"
        unless $directive =~ /jelou_secret /;
    $directive .= ";\njelou_access elsewhere" if $directive =~ /jelou_secret off/;
    $directive .= ";\njelou_redis_stream events"
        if $directive =~ /jelou_redis_pass/;

    return whole("$zone\nserver {\nlocation / {\n$directive;\n}\n}\n");
}

subtest 'documented values' => sub {
    my %value = (
        'secret ... | off' => [qw(a-secret-value-x off)], string => ['"a b"'],
        path => ['/etc/nginx/jelou.secrets'], time => [qw(0 30s 12h 1d)],
        'time [future=time]' => ['0', '30s', '12h future=5m', '1d future=0'],
        'secret | off' => [qw(a-secret-value-x off)],
        'zone=name:size [ttl=time]' => ['zone=z:1m', 'zone=z:1m ttl=7d'],
        'zone=name [key=string] | off' =>
            ['zone=seen', 'zone=seen key=$request_id', 'off'],
        type => [], scheme => ['https', 'https http s3'],
         address => [qw(queue 127.0.0.1 127.0.0.1:6379 unix:/r.sock $arg_to)],
        'name [limit=number | maxlen=number]' =>
            ['events', '"a:{$uri}" maxlen=1000', 'events limit=1000'],
        'time [key=string] | off' => ['1h', '1d key=$request_id', 'off'],
        'path | off' => [qw(/etc/nginx/jelou.redis off)],
        number => [0, 3], name => ['dead', '"jelou:{p-1}:dead"'],
        'time [max=time] [attempts=number]' =>
            ['1s', '500ms max=1m', '1s attempts=3', '2s max=2s attempts=1000'],
        'address stream=name ... group=name [uri=path]' =>
            ['127.0.0.1 stream=a group=b', '127.0.0.1 stream=a stream=b group=c uri=/x'],
        'zone=name:size [secrets=number]' =>
            ['zone=z:64k', 'zone=z:64k secrets=0', 'zone=z:64k secrets=1000'],
    );

    for my $name (sort keys %flags) {
        my @values = $name eq 'jelou_dedup_wait' ? qw(0 30s 60s)
                   : @{ $choice{$name} // $value{$syntax{$name}} };

        for my $value (@values) {
            next if "$name $value" =~ /_(?:pending|parallel|window) 0$/;
            is($nginx->check(with("$name $value", 'message')), '',
               "$name $value");
        }
    }

    my $types = section($doc{'docs/directives.md'}, 'jelou_types');
    my %types = $types =~ /^\| `(\w+)` \| (.*) \|$/mg;

    same([keys %types], \@endpoints, 'jelou_types: all endpoints');

    for my $endpoint (@endpoints) {
        my @types = $types{$endpoint} =~ /`(\w+)`/g;

        is_deeply([sort @types], [sort(types($endpoint))],
                  "jelou_types: those of $endpoint");

        is($nginx->check(with("jelou_types $_", $endpoint)), '',
           "jelou_types $_ of $endpoint") for @types;
    }
};

# The warning that is promised, and the refusals

subtest 'the secret file' => sub {
    my $with = with('jelou_secret_file /etc/nginx/jelou.secrets', 'message');
    my $file = '/etc/nginx/jelou.secrets';

    for my $mode (0600, 0640, 0644, 0602) {
        chmod $mode, $nginx->path($file) or die "chmod: $!\n";

        my $said = $nginx->check($with);

        $mode & 06 ? like($said, qr/\A.*\[warn\].* others can read or write .*\n\z/,
                          sprintf 'mode %o: a warning', $mode)
                   : is($said, '', sprintf 'mode %o: none', $mode);
    }

    chmod 0600, $nginx->path($file);

    for my $wrong ("a secret of-three-words\n", "#\n\n", "a-secret\x01-of-one\n",
                   'p' x 257 . " the-secret-of-that-project\n")
    {
        $nginx->supply($file, $wrong);
        like($nginx->check($with), qr/\[emerg\].*"jelou_secret_file": .*jelou\.secrets/,
             'refused: ' . substr($wrong, 0, 20) =~ s/\n.*//sr);
    }

    $nginx->supply($file, $secrets);
};


# A running nginx

my $app      = $nginx->free_port;
my $upstream = Jelou::Upstream->start("$dir/upstream", http => $app);

sub received { return map { $_->{body} } $upstream->requests($_[0]) }

my ($quick) = grep { /^load_module/ && !/ssl/ } fences($doc{'README.md'}, 'nginx');
my ($shell) = grep { /openssl dgst/ } fences($doc{'README.md'}, 'sh');
my ($event, $accepted) = fences($doc{'README.md'}, 'json');

$shell =~ s/^nginx -t .*\n//m or die "the README does not start nginx\n";

my ($secret) = $quick =~ /jelou_secret\s+"([^"]+)"/;

subtest 'quick start' => sub {
    (my $config = $quick) =~ s/127\.0\.0\.1:3000/127.0.0.1:$app/
        or die "no application in the quick start\n";

    $nginx->start($config);

    my ($listen) = $quick =~ /listen\s+([^\s;]+)/;

    $shell =~ s/\Q$listen\E/'127.0.0.1:' . $nginx->port($listen)/e
        or die "the command does not send to $listen\n";

    my $run = sub {
        my $file = spew("$dir/quick.sh", shift);
        my ($head, $body) = split /\r?\n\r?\n/, `sh $file 2>/dev/null`, 2;

        return ($head // '', $body // '');
    };

    my ($head, $body) = $run->($shell);

    chomp($event, $accepted);

    like($head, qr{^HTTP/1\.1 200 }, 'the message is accepted');
    is($body, $accepted, 'the answer');
    is_deeply([received(1)], [$event], 'what the application gets');

    $upstream->expect;

    (my $wrong = $shell) =~ s/^(secret='.*)'/$1x'/m
        or die "no secret in the command\n";

    ($head, $body) = $run->($wrong);

    like($head, qr{^HTTP/1\.1 401 }, 'with another secret it is not');
    like($body, qr/"SIGNATURE_MISMATCH"/, 'and the key says why');
    is_deeply([received(0)], [], 'the application gets nothing');
};

subtest 'the example in errors.md' => sub {
    my ($example) = fences($doc{'docs/errors.md'}, 'json');

    # $event, made wrong at the places of the example

    my $wrong = JSON::PP->new->decode($event);

    delete $wrong->{project_id};
    $wrong->{value}{type} = 'image';
    $wrong->{value}{content} = { url => 'http://a/b', mime_type => 'image/png' };

    my ($head, $body) = $nginx->send(
        'http://127.0.0.1:' . $nginx->port('127.0.0.1:8080') . $url,
        JSON::PP->new->encode($wrong), secret => $secret);

    my $json = JSON::PP->new->utf8;

    is_deeply($json->decode($body), $json->decode($example), 'the answer');

    my $key = qr/^\s*"(\w+)":/m;
    is_deeply([$body =~ /"(\w+)":/g], [$example =~ /$key/g], 'in that order');
};

$nginx->stop;

subtest 'production.conf at work' => sub {
    $nginx->replace($_, $app) for qw(10.0.0.11:8080 10.0.0.12:8080);

    $upstream->expect;
    $nginx->start($conf{'docs/examples/production.conf'});

    my ($head, $body) = $nginx->send("https://webhook.example.com$url", $event,
        secret => 'a-secret-of-the-test', at => $nginx->port('443'),
        curl => ['--http2']);

    like($head, qr{^HTTP/2 200 }, 'the message is accepted, over HTTP/2');
    is($body, $accepted, 'the answer');
    is_deeply([received(1)], [$event], 'what the application gets');

    $nginx->stop;

    my @lines = split /\n/, slurp("$dir/jelou.log");
    my $line  = eval { JSON::PP->new->utf8->decode($lines[0]) } // {};

    is(scalar @lines, 1, 'one line in the log');
    is(join(' ', map { $_ // '-' }
                 @$line{qw(status result project_id message_id type)}),
       '200 accepted p-1 m-1 text', 'the log');
};


# events.md and cloudevents.md: their requests, and what becomes of them

my ($log_format) = grep { /^log_format/ } fences($doc{'docs/variables.md'}, 'nginx');

subtest 'the requests of events.md' => sub {
    my %path = (
        'incoming_message' => $url, 'message' => '/message',
        'Conversation events' => '/message',
        'room_message' => '/v1/rooms/ROOM_ID/message',
        'bot_message' => '/v1/bots/BOT_ID/messages',
    );

    my $servers = '';

    for my $format (qw(event cloudevents)) {
        $servers .= <<"END" =~ s/^ {8}//mgr;
        server {
            listen        $format;
            jelou_secret  "a-secret-of-the-test";
            jelou_format  $format;
            access_log    jelou.log  jelou;

            location = $url {
                jelou_endpoint  incoming_message;
                proxy_pass      http://127.0.0.1:$app;
            }

            location = /message {
                jelou_endpoint  message;
                proxy_pass      http://127.0.0.1:$app;
            }

            location /v1/rooms/ {
                jelou_endpoint  room_message;
                proxy_pass      http://127.0.0.1:$app;
            }

            location /v1/bots/ {
                jelou_endpoint  bot_message;
                proxy_pass      http://127.0.0.1:$app;
            }
        }
END
    }

    $nginx->start("load_module ngx_http_jelou_module.so;\nevents {\n}\n"
                  . "http {\n$log_format$servers}\n");

    my $text = $doc{'docs/events.md'};
    my @sent;

    for my $name (sort keys %path) {
        my ($request, $event, $answer) = fences(section($text, $name), 'json');

        chomp($event, $answer);
        $upstream->expect;

        my ($head, $body) = $nginx->send(
            'http://127.0.0.1:' . $nginx->port('event') . $path{$name}, $request,
            secret => 'a-secret-of-the-test');
        my ($got) = received(1);

        # what the module makes is not what the document has

        s/"msg_[0-9a-f]{32}"/"msg_5f2b…"/ for $body, $got;

        is($body, $answer, "$name: the answer");
        is($got, $event, "$name: the event");

        push @sent, $request;
    }

    my ($cloudevent) = fences($doc{'docs/cloudevents.md'}, 'json');
    my ($request)    = fences(section($text, 'message'), 'json');

    chomp $cloudevent;
    $upstream->expect;

    $nginx->send('http://127.0.0.1:' . $nginx->port('cloudevents') . '/message',
                 $request, secret => 'a-secret-of-the-test');
    is_deeply([received(1)], [$cloudevent], 'the CloudEvent');

    $nginx->stop;

    # The sample log is JSON, and has what the request had.

    my @lines = map { JSON::PP->new->utf8->decode($_) }
                split /\n/, slurp("$dir/jelou.log");

    is(scalar @lines, 6, 'the sample log: a line each');

    my %last = %{ $lines[-1] };

    is(join(' ', @last{qw(result secret event type sent project_id room_id
                          bot_id user_id message_id)}),
       'accepted 1 message image 1776134352163 PROJECT_ID ROOM_ID BOT_ID'
       . ' USER_ID MESSAGE_ID', 'the sample log: its values');
};


is(join("\n", Jelou::Reports::alerts(slurp($nginx->log))), '',
   'no alert in the error log');

$upstream->stop;

done_testing();
