# The deliverer beside the rest of nginx: many ways to write the location that
# delivers, and one rule that judges them all.
#
# An entry is gone from its stream, without a dead letter, if and only if the
# application has answered a 2xx to it, to the end.  It is a dead letter "rejected" if
# and only if the application has refused it, at the first attempt.  All else is tried
# as often as it may be, and is a dead letter "attempts" then.  What the application
# has got and answered is its own record's word, not nginx's.
#
# Each thing that an application does stands beside each neighbour; the protocols,
# the orders of delivery and of modules take turns.  JELOU_COMPOSITION is "--all" for
# each protocol, or "--only NAME" for some.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Composition::Application;
use Jelou::Composition::Client;
use Jelou::Composition::Config ();
use Jelou::Composition::Run;
use Jelou::Http2 qw(listen_http2);
use Jelou::Redis;
use Jelou::Server;

use File::Path qw(make_path remove_tree);
use JSON::PP ();
use Time::HiRes qw(sleep time);

my $Batch    = 60;                  # the status page has 64 deliveries
my $Attempts = 3;

my @takers = qw(proxy fastcgi uwsgi scgi grpc lua js);
my @does   = qw(200 204 206 200long chunked early accel=page accel=none accel=second
                301 400 404 408 422 425 429 500 503 half close down);
my @around = qw(none intercept page page=200 page=@second second auth auth=denied deny
                basic limit mirror post_action addition gzip sub ssi charset image more
                lua lua=200 lua=500 try rewrite cache store unbuffered slow-file);
my @also   = qw(none page=200 mirror unbuffered gzip);

my ($page, $upstream) = ('/page.html', qr/^(?:proxy|fastcgi|uwsgi|scgi|grpc)$/);

$Jelou::Composition::Application::Retry_after = 0;

my %loaded = map { $_ => 1 } Jelou::Composition::Run::modules();
my $dir    = "$Jelou::Dir/$Jelou::Name.files";


# compositions(): { name, taker, does, around, also, order, load }; what stands there
# "also" changes nothing

sub compositions {
    my %o    = map { split / / } ($ENV{JELOU_COMPOSITION} // '') =~ /--(only \S+|seed \d+)/g;
    my $all  = ($ENV{JELOU_COMPOSITION} // '') =~ /--all/;
    my $turn = $o{seed} // int(time / 86_400);
    my (@list, %seen);

    diag("--seed $turn") if !$all;

    for my $does (0 .. $#does) {
        for my $around (0 .. $#around) {
            my $n = $does + $around + $turn;

            for my $taker ($all ? @takers : $takers[$n % @takers]) {
                my $c = { taker => $taker, does => $does[$does], around => $around[$around],
                          also  => $also[($n + $does) % @also],
                          order => $n % 2 ? 'room' : 'none', load => int($n / 2) % 2 };

                # side by side both events come before there is anything in a cache

                $c->{order} = 'room' if $c->{around} eq 'cache';
                $c->{also}  = 'none' if !possible($c);
                $c->{taker} = 'proxy' if !possible($c);
                next if !possible($c);

                $c->{name} = join '/', @$c{qw(taker does around also order)},
                                       $c->{load} ? 'last' : 'first';
                push @list, $c if !$seen{$c->{name}}++;
            }
        }
    }

    return $o{only} ? grep { $_->{name} eq $o{only} } @list : @list;
}

sub possible {
    my $c = shift;

    my ($taker, $does, $around, $also) = @$c{qw(taker does around also)};

    if ($also ne 'none') {
        return 0 if $also eq $around || $also eq 'page=200' && $around =~ /page|second|intercept/;
        return 0 if !possible({ %$c, around => $also, also => 'none' });
    }

    return 0 if grep { /^(lua|js|image|more)\b/ && !$loaded{$1} } $taker, $around;
    return 0 if $taker !~ $upstream && ($around =~ /cache|store|unbuffered|intercept|page/
                                        || $does =~ /chunked|early|accel|close|down|half/);
    return 0 if $taker eq 'grpc' && ($around =~ /cache|store|unbuffered/ || $does =~ /half|close/);
    return 0 if $does eq 'early'
                && ($taker ne 'proxy' || !Jelou::Composition::Run::knows_early_hints());

    return 1;
}


# The configuration.  A composition has the number of its stream.

sub around {
    my ($c, $n, $around) = @_;

    my $taker = $c->{taker};
    my $pages = "error_page  $Jelou::Composition::Config::Pages";

    return {
        none          => '',
        intercept     => "${taker}_intercept_errors  on;",
        page          => "$pages $page;\n    ${taker}_intercept_errors  on;",
        'page=200'    => "$pages =200 $page;\n    ${taker}_intercept_errors  on;",
        'page=@second' => "$pages = \@$n-second;\n    ${taker}_intercept_errors  on;\n"
                          . '    recursive_error_pages  on;',
        second        => "$pages = \@$n-second;",
        auth          => "auth_request  /$n/auth;",
        'auth=denied' => "auth_request  /$n/auth;",
        deny          => 'deny  all;',
        basic         => "auth_basic  realm;\n    auth_basic_user_file  $dir/nobody;",
        limit         => "limit_req  zone=one$n;",
        mirror        => "mirror  /$n/mirror;",
        post_action   => "post_action  /$n/post;",
        addition      => "add_before_body  /before;\n    add_after_body   /before;\n"
                         . '    addition_types   *;',
        gzip          => "gzip  on;\n    gzip_types  *;\n    gzip_min_length  1;\n"
                         . '    gzip_proxied  any;',
        sub           => "sub_filter  true TRUE;\n    sub_filter_types  *;",
        ssi           => "ssi  on;\n    ssi_types  *;",
        charset       => "charset  utf-8;\n    source_charset  utf-8;\n    charset_types  *;",
        image         => 'image_filter  test;',
        more          => "more_set_headers  'X-More: 1';",
        lua           => "header_filter_by_lua_block { ngx.header['X-Lua'] = '1' }\n"
                         . "    body_filter_by_lua_block { ngx.arg[1] = nil }",
        'lua=200'     => 'header_filter_by_lua_block { ngx.status = 200 }',
        'lua=500'     => 'header_filter_by_lua_block { ngx.status = 500 }',
        try           => "try_files  /none \@$n-second;",
        rewrite       => "rewrite  ^ /$n/second last;",
        cache         => "rewrite  ^ /$n/cached last;",
        store         => "${taker}_store  $dir/stored/$n;",
        unbuffered    => "${taker}_buffering  off;\n    ${taker}_request_buffering  off;",
        'slow-file'   => "client_body_in_file_only  on;\n    limit_rate  100;",
    }->{$around};
}

sub location {
    my ($c, $n) = @_;

    my %accel  = (page => 'page', none => 'nothing', second => 'second');
    my ($to)   = $c->{does} =~ /^accel=(.*)/;
    my %first  = (taker => $c->{taker}, does => $to ? 200 : $c->{does},
                  accel => $to ? $accel{$to} : undef);
    my $take   = \&Jelou::Composition::Config::take;
    my $second = $take->($n, 'second', { taker => 'proxy', does => 200 }, '');
    my %aside  = (auth => [204], 'auth=denied' => [403], mirror => [200],
                  post_action => [200, 'post']);
    my $bare   = "    proxy_pass_request_body  off;\n    proxy_set_header  Content-Length '';\n";

    my $text = <<"END";
# $c->{name}
location \@$n {
    jelou_deliver        queue  stream=s$n  group=app;
    jelou_deliver_order  $c->{order};
    jelou_deliver_retry  20ms  max=40ms  attempts=$Attempts;
    @{[around($c, $n, $c->{around})]}
    @{[around($c, $n, $c->{also})]}
@{[$take->($n, 'first', \%first, '')]}}
location = /$n/page { internal;  alias  $dir/html/page.html; }
location \@$n-second {
$second}
location = /$n/second {
    internal;
$second}
END

    if ($c->{around} eq 'cache') {
        my $cache = "$c->{taker}_cache";
        my $more  = <<"END";
    $cache           $c->{taker};
    ${cache}_key     $c->{name};
    ${cache}_methods POST;
    ${cache}_valid   any 1h;
    $c->{taker}_ignore_headers  Set-Cookie Cache-Control Expires;
END

        $text .= "location = /$n/cached {\n    internal;\n"
                 . $take->($n, 'second', { taker => $c->{taker}, does => 200 }, $more) . "}\n";
    }

    for my $around (grep { $aside{$_} } @$c{qw(around also)}) {
        my ($status, $name) = (@{ $aside{$around} }, $around =~ s/=.*//r);

        $text .= "location = /$n/$name {\n    internal;\n"
                 . $take->($n, $name, { taker => 'proxy', does => $status },
                           $name eq 'auth' ? $bare : '') . "}\n";
    }

    return $text;
}

sub http {
    my @list = @_;

    my $relay = listen_http2($Jelou::Port{PORT_2});
    my $lua   = $loaded{lua} ? Jelou::Composition::Config::lua("$dir/record") : '';
    my $js    = $loaded{js} ? "js_import  test from $dir/html/test.js;" : '';
    my $zones = join '', map {
        $list[$_]{around} eq 'limit'
            ? "limit_req_zone  same zone=one$_:32k rate=1r/m;\n" : ''
    } 0 .. $#list;
    my $text  = join "\n", map { location($list[$_], $_) } 0 .. $#list;

    return <<"END";
$lua
$js
$zones
@{[map { "${_}_cache_path  $dir/cache-$_ keys_zone=$_:1m;\n" } qw(proxy fastcgi uwsgi scgi)]}

jelou_status_zone  zone=counts:2m;

upstream queue { server  127.0.0.1:$Jelou::Port{PORT_3}; }

server {
    listen  127.0.0.1:$Jelou::Port{SERVER};
    root    $dir/html;

    location = /status { jelou_status  json; }
    location = /before { internal;  return  200 BEFORE; }

$text
}

server {
    $relay

    location / {
        proxy_pass            http://127.0.0.1:$Jelou::Port{APP};
        proxy_http_version    1.1;
        proxy_set_header      Connection close;
        proxy_set_header      X-Protocol grpc;
        proxy_ignore_headers  X-Accel-Redirect X-Accel-Expires Expires X-Accel-Limit-Rate
                              X-Accel-Buffering X-Accel-Charset Cache-Control;
        proxy_pass_header     X-Accel-Redirect;
    }
}
END
}


# The rule

# class(DOES): what an answer means

sub class {
    my $does = shift;

    return $does =~ /^(?:20\d|200long|chunked|early)$/ ? 'taken'
         : $does =~ /^4(?!08|25|29)/                   ? 'rejected' : 'again';
}

# expected(COMPOSITION, WHICH): the class of the answer to that event, and how often
# the application gets it at one attempt

sub expected {
    my ($c, $which) = @_;

    my ($does, $around) = @$c{qw(does around)};

    return ('again', 0) if $around =~ /^(?:auth=denied|deny|basic)$/
                           || $around =~ /^(?:limit|cache)$/ && $which > 1;
    return ('taken', 'second') if $around =~ /^(?:try|rewrite|cache)$/;
    return ('again', 0) if $does eq 'down';

    return ($does eq 'accel=none' ? 'again' : $does =~ /^accel/ ? 'taken' : class($does), 'first');
}


# judge(REDIS, COMPOSITION, NUMBER, ENTRIES, RECORDS, COUNTED): what is wrong, a list

sub judge {
    my ($redis, $c, $n, $entries, $records, $counted) = @_;

    my (@wrong, %is);
    my %dead = map { my %h = @{ $_->[1] }; ($h{dead_id} => \%h) }
               @{ $redis->command('XRANGE', "{s$n}:dead", '-', '+') };
    my %left = map { ($_->[0] => 1) } @{ $redis->command('XRANGE', "s$n", '-', '+') };
    my $which = 0;

    for my $entry (@$entries) {
        my ($id, $body) = @$entry;
        my ($class, $site) = expected($c, ++$which);
        my $dead = $dead{$id};
        my $is   = $left{$id} ? 'left' : $dead ? $dead->{dead_reason} : 'gone';
        my $want = { taken => 'gone', rejected => 'rejected', again => 'attempts' }->{$class};
        my @got  = grep { $_->{body} eq $body && $_->{site} eq "$n:first" } @$records;
        my @next = grep { $_->{body} eq $body && $_->{site} eq "$n:second" } @$records;
        my $count = $class eq 'again' ? $Attempts : 1;

        $is{$is}++;

        push @wrong, "event $which is $is, not $want" if $is ne $want;
        push @wrong, "event $which: attempts: $dead->{dead_attempts}"
            if $dead && $dead->{dead_attempts} != $count;
        push @wrong, "event $which: the application got it " . @got . ' times'
            if @got != ($site ne 'first' ? 0 : $c->{around} eq 'limit' ? 1 : $count);
        push @wrong, "event $which: the second one got it " . @next . ' times'
            if @next != ($site eq 'second' || $c->{does} eq 'accel=second' && $site eq 'first'
                         ? 1 : 0);
    }

    my $says = join ' ', $counted->{delivered}, @{ $counted->{dead} }{qw(rejected attempts)},
                         $counted->{retried};
    my $want = join ' ', (map { $is{$_} // 0 } qw(gone rejected attempts)),
                         ($is{attempts} // 0) * ($Attempts - 1);

    push @wrong, "counters: $says, not $want" if $says ne $want;

    return @wrong;
}


# batch(LOAD, COMPOSITION...)

sub batch {
    my ($load, @list) = @_;

    Jelou::Server::spew("$dir/record", '', 0666);

    my $app   = Jelou::Composition::Application->start("$dir/record");
    my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_3}, name => 'queue');
    my @entries;

    for my $n (0 .. $#list) {
        for my $event (1, 2) {
            my $body = qq({"stream":$n,"event":$event,"secret":true});

            push @{ $entries[$n] },
                [$redis->command('XADD', "s$n", '*', 'event', $body, 'room_id', 'r'), $body];
        }
    }

    my $nginx  = do {
        local $ENV{TEST_NGINX_LOAD_MODULES} = '';

        Jelou::Server->start(name => 'front', level => 'info',
                             main => Jelou::Composition::Run::load($load),
                             http => http(@list));
    };

    # all has been decided when each group has nothing in hand and nothing before it

    my $until = time + 60;
    my %open  = map { $_ => 1 } 0 .. $#list;

    while (%open && time < $until) {
        delete @open{ grep { $redis->command('XLEN', "s$_") == 0 } keys %open };
        sleep 0.05 if %open;
    }

    my $page    = get($Jelou::Port{SERVER}, '/status')->{body};
    my %counted = map { ($_->{stream} => $_) } @{ JSON::PP::decode_json($page)->{deliveries} };
    my $offset  = 0;
    my @records = records("$dir/record", \$offset);

    for my $n (0 .. $#list) {
        my @wrong = judge($redis, $list[$n], $n, $entries[$n],
                          [grep { $_->{site} =~ /^$n:/ } @records], $counted{"s$n"});

        next if ok(!@wrong, $list[$n]{name});

        diag($_) for @wrong, location($list[$n], $n),
                     grep { /\[(?:error|warn)\]/ && /stream "s$n"|location "\@$n"|\/$n\// }
                     split /\n/, $nginx->log;
    }

    $nginx->stop;
    $redis->stop;
    $app->stop;

    return;
}


remove_tree($dir);
make_path($dir);
chmod 0755, $dir;

mkdir "$dir/stored";                # a worker's, which is another user
chmod 0777, "$dir/stored";

Jelou::Composition::Config::files($dir);
Jelou::Server::spew("$dir/nobody", '', 0644);

my @all = compositions();

for my $load ('first', 'last') {
    my @list = grep { ($_->{load} ? 'last' : 'first') eq $load } @all;

    while (my @some = splice @list, 0, $Batch) {
        batch($load, @some);
    }
}

run_tests();

__DATA__
