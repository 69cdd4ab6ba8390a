import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { Equals, IsArray, IsDefined, IsObject, IsOptional, IsString, MaxLength, ValidateNested } from 'class-validator';

const NAME_MAX = 255;
const PASSWORD_MAX = 4096;

function Nested(of: () => new () => object, optional = false): PropertyDecorator {
  const decorators = [
    ApiProperty({ type: of, ...(optional ? { required: false as never } : {}) }),
    optional ? IsOptional() : IsDefined({ message: 'is missing' }),
    IsObject({ message: 'has to be an object' }),
    ValidateNested(),
    Type(of),
  ];
  return (target, key) => decorators.forEach((decorate) => decorate(target, key));
}

function Word(max = NAME_MAX): PropertyDecorator {
  const decorators = [
    ApiProperty({ type: String, required: false, maxLength: max }),
    IsOptional(),
    IsString({ message: 'has to be a text' }),
    MaxLength(max, { message: `has more than ${max} characters` }),
  ];
  return (target, key) => decorators.forEach((decorate) => decorate(target, key));
}

class Named {
  @Word() id?: string;
  @Word() name?: string;
}

class NamedInDomain extends Named {
  @Nested(() => Named, true) domain?: Named;
}

class UserWithPassword extends NamedInDomain {
  @Word(PASSWORD_MAX) password?: string;
}

class PasswordMethod {
  @Nested(() => UserWithPassword) user: UserWithPassword;
}

class IdentityPart {
  @ApiProperty({ type: [String], example: ['password'] })
  @IsArray({ message: 'has to be a list' })
  @Equals('password', { each: true, message: 'password is the only method there is' })
  methods: string[];

  @Nested(() => PasswordMethod) password: PasswordMethod;
}

class ScopePart {
  @Nested(() => NamedInDomain) project: NamedInDomain;
}

class AuthPart {
  @Nested(() => IdentityPart) identity: IdentityPart;
  @Nested(() => ScopePart, true) scope?: ScopePart;
}

/** Keystone's question for a token, as clients with password authentication put it. */
export class AuthBody {
  @Nested(() => AuthPart) auth: AuthPart;
}
